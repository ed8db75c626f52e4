import { afterEach, describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import type { FleetWatch } from '../../../src/node/fleet-watch.ts';
import { decodeExtensions, FLEET_EXTENSION, MAX_EXTENSION_BYTES } from '../../../src/protocol/extensions.ts';
import { ManualClock } from '../../support/collateral-world.ts';
import { Texts, textOf, watchOf as watchOfAuthority } from '../../support/fleet-texts.ts';
import { AuthorityWorld, DELAY_MS, fixed, hashOf, START_MS } from '../../support/fleet-world.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { codeOf } from '../../support/thrown.ts';

const world = new AuthorityWorld();
const watchOf = watchOfAuthority(world);
const since = START_MS;
const first = world.issue({ trustHashes: [{ hash: hashOf('one'), since }] });
const second = world.issue(
  {
    trustHashes: [
      { hash: hashOf('one'), since },
      { hash: hashOf('two'), since },
    ].sort((a, b) => (a.hash < b.hash ? -1 : 1)),
  },
  { serial: 2 },
);
const otherSecond = world.issue({}, { serial: 2, issuedAtMs: START_MS + 1 });
const server = (name: string) => ({ account: AccountId.of(fixed(name)), endpoint: `${name}:1` });
const saying = (signed: Uint8Array) => new Map([[FLEET_EXTENSION, signed]]);

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

/** A node that has taken the first manifest, and follows its sources. */
async function following() {
  const [texts, clock, store] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
  texts.pages.set('http://source/manifest.json', () => textOf(first));
  const made = watchOf(texts, clock);
  await made.watch.open(store);
  await made.watch.record(new FencedStore(store, true));
  void made.watch.follow(60_000, stop.signal);
  await clock.advance(1);
  made.events.length = 0;
  texts.asked.length = 0;
  return { ...made, texts, clock, store };
}

const trusted = (watch: FleetWatch): readonly string[] => watch.granting().trustHashes;

describe('a header that a server shows', () => {
  it('is asked for at that server, at once; until its manifest is here no new permission takes effect', async () => {
    const { watch, texts, clock, events, store } = await following();
    // The permission of the first manifest would take effect in a moment.
    await clock.advance(DELAY_MS - 1_000);
    texts.asked.length = 0;
    watch.hear(server('honest'), saying(second.header.signed));
    await clock.advance(1);
    // It names what it has, which is another name than that of a server with the missing manifest.
    const known = toPrefixedHex(sha256(first.header.signed));
    expect(texts.asked).toContain(`http://honest:1/fleet?known=${known}`);
    expect(events).toContain('fleet.header-newer');
    expect(watch.report().awaited).toEqual({ serial: 2, hash: toPrefixedHex(second.header.hash) });
    await clock.advance(10_000);
    expect(trusted(watch)).toEqual([]);

    // A restart remembers it.
    const restarted = watchOf(texts, clock).watch;
    await restarted.open(store);
    expect(restarted.report().awaited?.serial).toBe(2);

    texts.pages.set('http://honest:1/fleet', () => `{"manifests":[${textOf(second)}]}`);
    watch.hear(server('other'), saying(second.header.signed));
    await watch.refresh(stop.signal, 'honest:1');
    expect(watch.report()).toMatchObject({ manifest: { serial: 2 } });
    expect(watch.report().awaited).toBeUndefined();
    // What stood in the manifest before keeps its time.
    expect(trusted(watch)).toEqual([hashOf('one')]);
  });

  it('that is not good is logged once, however many other ones a liar shows', async () => {
    const { watch, events } = await following();
    const wrong = Uint8Array.of(1);
    watch.hear(server('wrong'), saying(wrong));
    const lies = 1_500;
    for (let number = 0; number < lies; number++) {
      watch.hear(server('liar'), saying(Uint8Array.of(2, number >> 8, number & 0xff)));
      if (number % 100 === 0) watch.hear(server('wrong'), saying(wrong));
    }
    expect(events.filter((event) => event.startsWith('fleet.header-refused'))).toHaveLength(1 + lies);
  });

  it('shown while the store was locked is not forgotten when it opens', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    const { watch } = watchOf(texts, clock);
    watch.hear(server('honest'), saying(second.header.signed));
    await watch.open(new MemoryStore());
    expect(watch.report().awaited?.serial).toBe(2);
  });

  it('stops at once what a locked node believes by the dates of the authority', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    texts.pages.set('http://source/manifest.json', () => textOf(first));
    const { watch } = watchOf(texts, clock);
    await clock.advance(DELAY_MS);
    await watch.refresh(stop.signal);
    expect(watch.asking().trustHashes).toEqual([hashOf('one')]);
    watch.hear(server('honest'), saying(second.header.signed));
    expect(watch.asking().trustHashes).toEqual([]);
  });

  it('that is older is reported, and changes nothing', async () => {
    const { watch, texts, clock, events } = await following();
    texts.pages.set('http://source/manifest.json', () => textOf(second));
    await watch.refresh(stop.signal);
    events.length = 0;
    for (const name of ['behind', 'behind', 'slow']) watch.hear(server(name), saying(first.header.signed));
    expect(events).toEqual(['fleet.server-behind', 'fleet.server-behind']);
    expect(watch.report()).toMatchObject({ manifest: { serial: 2 }, serversBehind: 2 });
    // One that has caught up is behind no more, and one that lost its memory again is.
    for (const name of ['slow', 'slow']) watch.hear(server(name), saying(second.header.signed));
    expect(watch.report().serversBehind).toBe(1);
    watch.hear(server('slow'), saying(first.header.signed));
    expect(watch.report().serversBehind).toBe(2);
    await clock.advance(DELAY_MS);
    expect(trusted(watch)).toHaveLength(2);
    texts.pages.set('http://source/manifest.json', () => textOf(world.issue({}, { serial: 3 })));
    await watch.refresh(stop.signal);
    expect(watch.report().serversBehind).toBeUndefined();
    watch.hear(server('slow'), saying(second.header.signed));
    expect(watch.report().serversBehind).toBe(1);
  });

  it('with the same serial and another hash: the first stays, no new trust, both are shown; a higher serial ends it', async () => {
    const { watch, texts, clock, events } = await following();
    texts.pages.set('http://source/manifest.json', () => textOf(second));
    await watch.refresh(stop.signal);
    watch.hear(server('liar'), saying(otherSecond.header.signed));
    expect(events).toContain('fleet.header-conflict');
    expect(watch.report()).toMatchObject({
      manifest: { serial: 2, hash: toPrefixedHex(second.header.hash) },
      conflict: {
        serial: 2,
        hashes: [toPrefixedHex(second.header.hash), toPrefixedHex(otherSecond.header.hash)],
      },
    });
    await clock.advance(2 * DELAY_MS);
    expect(trusted(watch)).toEqual([]);
    texts.pages.set('http://source/manifest.json', () =>
      textOf(world.issue({ trustHashes: [{ hash: hashOf('one'), since }] }, { serial: 3 })),
    );
    await watch.refresh(stop.signal);
    expect(watch.report().conflict).toBeUndefined();
    await clock.advance(1_000);
    expect(trusted(watch)).toEqual([hashOf('one')]);
  });
});

describe('a header that a server shows again', () => {
  it('of two with one serial is reported once, and wakes nothing', async () => {
    const { watch, texts, clock, events } = await following();
    texts.pages.set('http://source/manifest.json', () => textOf(second));
    await watch.refresh(stop.signal);
    watch.hear(server('liar'), saying(otherSecond.header.signed));
    texts.pages.set('http://source/manifest.json', () => textOf(otherSecond));
    events.length = 0;
    for (let time = 0; time < 3; time++) {
      watch.hear(server('liar'), saying(otherSecond.header.signed));
      watch.hear(server('honest'), saying(second.header.signed));
      await watch.refresh(stop.signal);
    }
    await clock.advance(1);
    expect(events.filter((event) => event.startsWith('fleet.'))).toEqual(['fleet.header-conflict']);
  });

  it('counts once the chain has reached its date', async () => {
    const [texts, clock] = [new Texts(), new ManualClock(START_MS)];
    let chainMs = 0;
    const chain = { time: () => ({ chainMs }), endpoints: () => [], take: () => undefined };
    const { watch, events } = watchOf(texts, clock, { chain });
    for (let time = 0; time < 3; time++) watch.hear(server('honest'), saying(second.header.signed));
    expect(events).toEqual(['fleet.header-refused FLEET_ISSUED_AHEAD']);
    chainMs = START_MS;
    watch.hear(server('honest'), saying(second.header.signed));
    expect(watch.report().awaited?.serial).toBe(2);
  });
});

describe('a server that lies about the newest manifest', () => {
  const huge = world.header({ serial: LAST_SERIAL });
  const forged = world.sign(huge);
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
  const stranger = new AuthorityWorld('thief');
  const lies: readonly (readonly [string, Uint8Array])[] = [
    ['a number alone', new Uint8Array([0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['the highest serial without a signature', world.sign(huge, 0)],
    ['the highest serial with too few signatures', world.sign(huge, 1)],
    ['a forged signature', forged],
    ['the header of another authority', stranger.sign(stranger.header({ serial: LAST_SERIAL }))],
    ['the header of another network', world.sign(world.header({ serial: 9, network: fixed('other') }))],
    ['a header and more', new Uint8Array([...world.sign(huge), 0])],
    ['as many bytes as an extension can have', new Uint8Array(MAX_EXTENSION_BYTES).fill(255)],
    ['one byte', new Uint8Array(1)],
  ];

  it.each(lies)('stops nothing with %s, and is reported at most once', async (_, signed) => {
    const { watch, texts, clock, events } = await following();
    for (let time = 0; time < 3; time++) watch.hear(server('liar'), saying(signed));
    expect(events.length).toBe(1);
    expect(events[0]).toContain('fleet.header-refused');
    expect(texts.asked).toEqual([]);
    expect(watch.report()).toMatchObject({ manifest: { serial: 1 } });
    expect(watch.report().awaited).toBeUndefined();
    await clock.advance(DELAY_MS);
    expect(trusted(watch)).toEqual([hashOf('one')]);
  });

  it('cannot send more bytes than an extension can have', () => {
    const tooLong = Buffer.alloc(MAX_EXTENSION_BYTES + 1).toString('base64');
    expect(codeOf(() => decodeExtensions({ [FLEET_EXTENSION]: tooLong }))).toBe('FIELD_INVALID');
  });

  it('makes a node ask once for a signed header whose manifest it withholds, however often it shows it', async () => {
    const { watch, texts, clock } = await following();
    for (let time = 0; time < 100; time++) watch.hear(server('liar'), saying(second.header.signed));
    await clock.advance(1);
    expect(texts.asked.filter((url) => url.startsWith('http://liar:1'))).toHaveLength(1);
  });

  it('that says nothing of manifests changes nothing', async () => {
    const { watch, events } = await following();
    watch.hear(server('silent'), new Map());
    expect(events).toEqual([]);
  });
});

describe('a handover', () => {
  const successor = new AuthorityWorld('successor');
  const { id } = successor.authority;
  const handover = world.handover(successor.authority);

  it('reaches nodes that know the newest manifest of the former authority', async () => {
    const { watch, texts, clock } = await following();
    const sender = watchOf(new Texts(), clock).watch;
    await sender.publish(JSON.parse(`{"manifests":[${textOf(first)},${textOf(handover)}]}`));
    await clock.advance(DELAY_MS + 1_000);
    sender.asking();
    const extension = sender.extensions().get(FLEET_EXTENSION);
    expect(extension).toEqual(handover.header.signed);
    texts.pages.set('http://server:1/fleet', () =>
      JSON.stringify(sender.answer(new URL(texts.asked.at(-1) ?? '').searchParams.get('known') ?? undefined)),
    );
    watch.hear(server('server'), saying(extension ?? new Uint8Array(0)));
    await watch.refresh(stop.signal, 'server:1');
    const to = { to: id, takesEffect: new Date(clock.nowMs() + DELAY_MS).toISOString() };
    expect(watch.report()).toMatchObject({ authority: world.authority.id, handover: to });
    await clock.advance(DELAY_MS + 1_000);
    watch.asking();
    expect(watch.report()).toMatchObject({ authority: id, manifest: { serial: LAST_SERIAL } });
    expect(watch.report().handover).toBeUndefined();
  });
});

describe('a manifest that somebody hands in', () => {
  it('is taken like one of any other source, and the answer says what became of it', async () => {
    const [texts, clock, store] = [new Texts(), new ManualClock(START_MS), new MemoryStore()];
    const { watch } = watchOf(texts, clock);
    await watch.open(store);
    await watch.record(new FencedStore(store, true));
    const thief = new AuthorityWorld('thief').issue({}, { serial: 9 });
    const { manifests: results } = await watch.publish(
      JSON.parse(
        `{"manifests":[${textOf(first)},${textOf(thief)},${textOf(second)},${textOf(second)},${textOf(first)}]}`,
      ),
    );
    expect(results.map(({ outcome, code }) => code ?? outcome)).toEqual([
      'taken',
      'FLEET_AUTHORITY_OTHER',
      'taken',
      'known',
      'FLEET_SERIAL_OLDER',
    ]);
    const restarted = watchOf(new Texts(), clock).watch;
    await restarted.open(store);
    expect(restarted.report().manifest?.serial).toBe(2);
    await expect(watch.publish({})).rejects.toMatchObject({ code: 'FLEET_FILE_MALFORMED' });
  });
});
