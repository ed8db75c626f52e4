import { symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { AccountId, PlatformHash } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { trustHashName } from '../../../src/fleet/delayed-entries.ts';
import type { Manifest } from '../../../src/fleet/manifest.ts';
import { MAX_MANIFEST_FILE_BYTES } from '../../../src/fleet/manifest-file.ts';
import { judgeTrustHash, trustHash } from '../../../src/trust/trust-hash.ts';
import { parseTrustSection, type TrustSection } from '../../../src/trust/trust-section.ts';
import { ManualClock } from '../../support/collateral-world.ts';
import { Texts, textOf, watchOf as watchOfAuthority } from '../../support/fleet-texts.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  fixed,
  hashOf,
  network,
  platformList,
  START_MS,
} from '../../support/fleet-world.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const since = START_MS;
const first = world.issue({ trustHashes: [{ hash: hashOf('one'), since }] });
const second = world.issue({}, { serial: 2 });
const stopped = new AbortController().signal;
const watchOf = watchOfAuthority(world);

describe('fleet watch', () => {
  it('takes a manifest from a source, keeps it in the store, and hands it on', async () => {
    const [texts, clock, store] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch } = watchOf(texts, clock);
    expect(watch.extensions().size).toBe(0);
    expect(await watch.open(store)).toBe(false);
    await watch.record(store);
    await watch.refresh(stopped);
    expect(watch.extensions().get('fleet')).toEqual(first.header.signed);
    expect(watch.answer(undefined).manifests).toHaveLength(1);
    // 11 MB with full lists: made once, however often it is asked for.
    expect(watch.answer(undefined)).toBe(watch.answer(undefined));
    expect(watch.answer(toPrefixedHex(sha256(first.header.signed))).manifests).toEqual([]);
    // Another copy of the same manifest may have other signatures.
    expect(watch.answer(toPrefixedHex(first.header.hash)).manifests).toHaveLength(1);

    await clock.advance(DELAY_MS);
    const restarted = watchOf(new Texts(), clock).watch;
    await restarted.open(store);
    expect(restarted.granting().trustHashes).toEqual([hashOf('one')]);
  });

  it('keeps a manifest that came while the store took no writes, once it takes them', async () => {
    const [texts, clock, memory] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch } = watchOf(texts, clock);
    const store = new FencedStore(memory, false);
    await expect(watch.record(store)).rejects.toMatchObject({ code: 'NODE_UNCLAIMED' });
    expect(await watch.open(store)).toBe(false);
    await watch.refresh(stopped);
    store.release();
    await watch.record(store);
    await clock.advance(DELAY_MS);
    const restarted = watchOf(new Texts(), clock).watch;
    await restarted.open(memory);
    expect(restarted.granting().trustHashes).toEqual([hashOf('one')]);
  });

  it('asks registered servers, and takes nothing that the authority did not sign', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const { watch, events, endpoints } = watchOf(texts, clock);
    endpoints.push('liar:1', 'honest:2');
    const thief = new AuthorityWorld('thief').issue({}, { serial: 9 });
    const unsigned = textOf(second).replace(/"header": "[^"]*"/, () => {
      const bytes = world.sign(second.header.header, 1);
      return `"header": "${Buffer.from(bytes).toString('base64')}"`;
    });
    texts.pages.set('http://source/manifest.json', () => 'not JSON');
    texts.pages.set('http://liar:1/fleet', () => unsigned);
    texts.pages.set('http://honest:2/fleet', () => `{"manifests":[${textOf(thief)},${textOf(first)}]}`);
    await watch.refresh(stopped);
    expect(watch.answer(undefined).manifests).toHaveLength(1);
    expect(events.sort()).toEqual([
      'fleet.manifest',
      'fleet.refused FLEET_AUTHORITY_OTHER',
      'fleet.refused FLEET_FILE_MALFORMED',
      'fleet.refused FLEET_SIGNATURES_TOO_FEW',
    ]);
    await watch.refresh(stopped);
    expect(texts.asked.at(-1)).toContain(`?known=${toPrefixedHex(sha256(first.header.signed))}`);
  });

  it('gives lists of platforms and moves to the rules about platforms', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const account = AccountId.of(fixed('account'));
    const [good, bad, other] = ['good', 'bad', 'other'].map((name) => PlatformHash.of(fixed(name))) as [
      PlatformHash,
      PlatformHash,
      PlatformHash,
    ];
    const manifest = world.issue(
      { moves: [{ account: encodeSs58(account), from: toPrefixedHex(good), to: toPrefixedHex(other) }] },
      {},
      { endorsed: platformList('good', 'bad'), revoked: platformList('bad') },
    );
    texts.pages.set('http://source/manifest.json', () => textOf(manifest));
    const { watch } = watchOf(texts, clock);
    await watch.open(new MemoryStore());
    await watch.refresh(stopped);
    const early = watch.platforms('granting');
    expect([early.isRevoked(bad), early.endorsementOf(good)]).toEqual([true, undefined]);
    expect(early.allowsMove(account, good, other)).toBe(false);
    await clock.advance(DELAY_MS);
    const lists = watch.platforms('granting');
    expect(lists.endorsementOf(good)).toMatchObject({ owner: 'Example', place: 'rack 1' });
    expect(lists.endorsementOf(bad)).toBeUndefined();
    expect(lists.allowsMove(account, good, other)).toBe(true);
    expect(watch.platforms('granting')).toBe(lists);
  });

  it('reads files at every interval, and says once that one cannot be read', async () => {
    await using folder = await tempFolder();
    const [path, link] = [join(folder.path, 'manifest.json'), join(folder.path, 'link.json')];
    await symlink(path, link);
    const { watch, events } = watchOf(new Texts(), new ManualClock(START_MS), {
      files: [path, link],
      fileSystem: nodeFileSystem,
    });
    await watch.refresh(stopped);
    await watch.refresh(stopped);
    expect(events).toEqual(['fleet.file-not-read', 'fleet.file-not-read']);
    await writeFile(path, textOf(first));
    await watch.refresh(stopped);
    expect(watch.report().manifest?.serial).toBe(1);
    await truncate(path, MAX_MANIFEST_FILE_BYTES + 1);
    events.length = 0;
    await watch.refresh(stopped);
    expect(events).toEqual(['fleet.file-not-read']);
    await writeFile(path, textOf(second));
    await watch.refresh(stopped);
    expect(watch.report().manifest?.serial).toBe(2);
  });

  it('says when the store remembers a newer manifest than the sources showed', async () => {
    const [texts, clock, store] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
    texts.pages.set('http://source/manifest.json', () => textOf(second));
    const before = watchOf(texts, clock).watch;
    await before.record(store);
    await before.refresh(stopped);
    await clock.advance(DELAY_MS);
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch, events } = watchOf(texts, clock);
    await watch.refresh(stopped);
    expect(watch.asking().trustHashes).toEqual([hashOf('one')]);
    expect(await watch.open(store)).toBe(true);
    expect(events).toContain('fleet.was-behind');
    watch.close();
    expect(watch.asking().trustHashes).toEqual([]);
    expect(await watch.open(store)).toBe(false);
  });
});

describe('what a node says of its manifests', () => {
  it('is made once for each state and block, however often strangers ask for it', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const { watch } = watchOf(texts, clock);
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    await watch.refresh(stopped);
    const said = watch.report();
    expect(watch.report()).toBe(said);
    // Another machine, another block, another manifest.
    expect(watch.report(hashOf('own'))).not.toBe(said);
    await clock.advance(1);
    expect(watch.report()).not.toBe(said);
    await watch.publish(JSON.parse(textOf(world.issue({}, { serial: 2 }))));
    expect(watch.report().manifest?.serial).toBe(2);
  });
});

describe('sources', () => {
  it('keep the query of their own', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const source = 'http://source/manifest.json?token=a%20b';
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch, endpoints } = watchOf(texts, clock, { sources: [source] });
    await watch.refresh(stopped);
    // An address on the chain may be any text, and stops no other.
    endpoints.push('not a host:\\');
    await watch.refresh(stopped);
    const known = toPrefixedHex(sha256(first.header.signed));
    expect(texts.asked[0]).toBe(source);
    const asked = texts.asked.filter((url) => url.startsWith('http://source/')).map((url) => new URL(url));
    expect(asked.map(({ searchParams }) => searchParams.get('token'))).toEqual(['a b', 'a b']);
    expect(asked[1]?.searchParams.get('known')).toBe(known);
  });

  it('are not asked before the time of the chain is known, and at once then', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    let chainMs = 0;
    const chain = { time: () => ({ chainMs }), endpoints: () => [], take: () => undefined };
    const { watch } = watchOf(texts, clock, { chain });
    const stop = new AbortController();
    const following = watch.follow(600_000, stop.signal);
    await clock.advance(5_000);
    expect(texts.asked).toEqual([]);
    chainMs = START_MS;
    await clock.advance(1_000);
    expect(watch.extensions().size).toBe(1);
    stop.abort();
    await clock.advance(600_000);
    await following;
  });

  it('show a handover, which takes effect after the delay without another word', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const next = new AuthorityWorld('next');
    const handover = world.handover(next.authority);
    const moved = next.issue({}, { previous: handover.header.hash }, { revoked: platformList('bad') });
    texts.pages.set(
      'http://source/manifest.json',
      () => `{"manifests":[${[first, handover, moved].map(textOf).join()}]}`,
    );
    const { watch } = watchOf(texts, clock);
    await watch.open(new MemoryStore());
    await watch.refresh(stopped);
    expect(watch.extensions().get('fleet')).toEqual(first.header.signed);
    expect(watch.answer(undefined).manifests).toHaveLength(2);
    await clock.advance(DELAY_MS);
    expect(watch.granting().revoked).toEqual([]);
    await watch.refresh(stopped);
    expect(watch.extensions().get('fleet')).toEqual(moved.header.signed);
    expect(watch.granting().revoked).toHaveLength(1);
  });
});

describe('an entry that ends', () => {
  it('is warned of once a day from 14 days before, and not after it', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const until = START_MS + 20 * DELAY_MS;
    const ending = world.issue({ trustHashes: [{ hash: hashOf('one'), since, until }] });
    texts.pages.set('http://source/manifest.json', () => textOf(ending));
    const { watch, events } = watchOf(texts, clock);
    const warnings = async (days: number): Promise<number> => {
      await clock.advance(days * DELAY_MS);
      await watch.refresh(stopped);
      await watch.refresh(stopped);
      return events.filter((event) => event === 'fleet.ends-soon').length;
    };
    expect(await warnings(0)).toBe(0);
    expect(await warnings(5)).toBe(0);
    expect(await warnings(1)).toBe(1);
    expect(await warnings(1)).toBe(2);
    expect(await warnings(13)).toBe(2);
  });
});

describe('when a permission takes effect', () => {
  it('is said while it waits, and neither after that nor of what no manifest lists', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const until = START_MS + 3 * DELAY_MS;
    const listed = world.issue({ trustHashes: [{ hash: hashOf('one'), since, until }] });
    texts.pages.set('http://source/manifest.json', () => textOf(listed));
    const { watch } = watchOf(texts, clock);
    await watch.refresh(stopped);
    const name = trustHashName(hashOf('one'));
    expect(watch.startOf(name)).toBe(START_MS + DELAY_MS);
    expect(watch.startOf(trustHashName(hashOf('other')))).toBeUndefined();
    // It has ended: a start in the past would be no answer.
    await clock.advance(4 * DELAY_MS);
    expect(watch.startOf(name)).toBeUndefined();
  });
});

describe('a host that stops the clock of its machine', () => {
  it('keeps no permission in force that has ended by the time of the chain', async () => {
    const until = START_MS + 5 * DELAY_MS;
    const ending = world.issue({ trustHashes: [{ hash: hashOf('one'), since, until }] });
    const [texts, clock] = [new Texts(), new ManualClock(START_MS + 2 * DELAY_MS)];
    texts.pages.set('http://source/manifest.json', () => textOf(ending));
    let chainMs = clock.nowMs();
    const chain = { time: () => ({ chainMs }), endpoints: () => [], take: () => undefined };
    const { watch } = watchOf(texts, clock, { chain });
    await watch.refresh(stopped);
    expect(watch.asking().trustHashes).toEqual([hashOf('one')]);
    chainMs = until + 1;
    expect(watch.asking().trustHashes).toEqual([]);
  });
});

describe('two handovers of one authority', () => {
  it.each([
    ['of one source', ['stolen', 'own', 'first'], []],
    ['of one source, the other way', ['first', 'own', 'stolen'], []],
    ['of two sources', ['first', 'stolen'], ['first', 'own']],
  ])('stop each other at a locked node too: %s', async (_title, one, other) => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS + 9 * DELAY_MS)];
    const handoverTo = (name: string): Manifest => world.handover(new AuthorityWorld(name).authority);
    const all = { first, stolen: handoverTo('thief'), own: handoverTo('owner') };
    const pageOf = (names: readonly string[]) => () =>
      `{"manifests":[${names.map((name) => textOf(all[name as keyof typeof all])).join()}]}`;
    texts.pages.set('http://source/manifest.json', pageOf(one));
    texts.pages.set('http://honest:2/fleet', pageOf(other));
    const { watch, endpoints } = watchOf(texts, clock);
    endpoints.push('honest:2');
    await watch.refresh(stopped);
    expect(watch.asking().trustHashes).toEqual([hashOf('one')]);
    expect(watch.answer(undefined).manifests).toHaveLength(3);
    await watch.refresh(stopped);
    expect(watch.extensions().get('fleet')).toEqual(first.header.signed);
  });
});

describe('a store', () => {
  it('whose record cannot be read locks no node: the manifests come again', async () => {
    const [texts, clock, store] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
    const namespace = await store.namespace('latchkey/fleet');
    await namespace.put('state', new Uint8Array([1, 2, 3]));
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch, events } = watchOf(texts, clock);
    await watch.open(store);
    expect(events).toEqual(['fleet.not-read FLEET_FILE_MALFORMED']);
    await watch.refresh(stopped);
    expect(watch.answer(undefined).manifests).toHaveLength(1);
  });

  it('that takes no writes is reported', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    let fails = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (fails) throw new Error('fenced');
      },
    });
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch, events } = watchOf(texts, clock);
    await watch.open(store);
    await watch.record(store);
    fails = true;
    await watch.refresh(stopped);
    expect(events).toContain('fleet.not-recorded');
    expect(watch.extensions().size).toBe(1);

    // A disk that was full for a moment: else a restart would believe an older manifest.
    const { writes } = store;
    fails = false;
    await watch.refresh(stopped);
    expect(store.writes).toBe(writes + 1);
    const restarted = watchOf(new Texts(), clock).watch;
    await restarted.open(store);
    expect(restarted.extensions().get('fleet')).toEqual(first.header.signed);
    await watch.refresh(stopped);
    expect(store.writes).toBe(writes + 1);
  });
});

/** A node of the story: it runs under a section, and has a store and a view of the manifests. */
async function nodeUnder(section: TrustSection, texts: Texts, clock: ManualClock, store = new MemoryStore()) {
  if (section.authority === undefined) throw new TypeError('the sections of the story have an authority');
  const { watch } = watchOf(texts, clock, { authority: section.authority });
  await watch.refresh(stopped);
  const asking = (other: TrustSection): string =>
    codeOf(() => judgeTrustHash(trustHash(other), { section, fleetAccepted: watch.asking().trustHashes }));
  const granting = (other: TrustSection): string =>
    codeOf(() => judgeTrustHash(trustHash(other), { section, fleetAccepted: watch.granting().trustHashes }));
  return {
    watch,
    store,
    asking,
    granting,
    open: async () => {
      await watch.open(store);
      await watch.record(store);
    },
  };
}

describe('three moves of a fleet in a row', () => {
  const genesisHash = toPrefixedHex(network);
  const sections = [0, 1, 2, 3].map((move) =>
    parseTrustSection({
      chain: { genesisHash },
      authority: { ...world.authority, minimumSerial: 1 },
      freshness: { tcbGraceMs: move },
    }),
  ) as [TrustSection, TrustSection, TrustSection, TrustSection];
  const hashesOf = (...moves: readonly TrustSection[]) =>
    moves
      .map((section) => ({ hash: toPrefixedHex(trustHash(section)), since }))
      .sort((a, b) => (a.hash < b.hash ? -1 : 1));

  it('no node is refused on the way, and at the end the first section is', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    let serial = 0;
    const publish = (...accepted: readonly TrustSection[]): void => {
      const manifest = world.issue({ trustHashes: hashesOf(...accepted) }, { serial: ++serial });
      texts.pages.set('http://source/manifest.json', () => textOf(manifest));
    };
    const stores = [new MemoryStore(), new MemoryStore(), new MemoryStore()];
    let running = await Promise.all(stores.map((store) => nodeUnder(sections[0], texts, clock, store)));
    for (const node of running) await node.open();

    for (const [from, to] of [
      [sections[0], sections[1]],
      [sections[1], sections[2]],
      [sections[2], sections[3]],
    ] as const) {
      // Both sections are accepted for as long as the move takes.
      publish(from, to);
      for (const { watch } of running) await watch.refresh(stopped);
      expect(running.map(({ granting }) => granting(to))).toEqual(Array(3).fill('TRUST_SECTION_REFUSED'));
      await clock.advance(DELAY_MS);
      for (const index of [0, 1, 2]) {
        const moved = await nodeUnder(to, texts, clock, stores[index]);
        const others = running.filter((_node, other) => other !== index);
        // Locked, it believes the others; they grant it its keys.
        const sectionOf = (other: number): TrustSection => (other < index ? to : from);
        expect(
          [0, 1, 2].filter((other) => other !== index).map((other) => moved.asking(sectionOf(other))),
        ).toEqual(['none', 'none']);
        expect(others.map(({ granting }) => granting(to))).toEqual(['none', 'none']);
        await moved.open();
        expect([from, to].map((section) => moved.granting(section))).toEqual(['none', 'none']);
        running = running.map((node, other) => (other === index ? moved : node));
      }
    }

    publish(sections[3]);
    for (const { watch } of running) await watch.refresh(stopped);
    const codes = (section: TrustSection) => running.map(({ granting }) => granting(section));
    expect(codes(sections[3])).toEqual(['none', 'none', 'none']);
    for (const section of sections.slice(0, 3))
      expect(codes(section)).toEqual(Array(3).fill('TRUST_SECTION_REFUSED'));
  });
});
