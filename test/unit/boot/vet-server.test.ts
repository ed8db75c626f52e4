import { beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { RecentNames } from '../../../src/boot/obtain/recent-names.ts';
import { ServerVetter } from '../../../src/boot/obtain/vet-server.ts';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { failureOf } from '../../../src/boot/peer/peer-failure.ts';
import { toBase64 } from '../../../src/bytes/base64.ts';
import { AccountId, BlockHash, InstanceId, Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import type { ChainSnapshot, ServerRecord } from '../../../src/chain/chain-view.ts';
import { decodeAttestation } from '../../../src/protocol/attestation.ts';
import { attestationReportData } from '../../../src/protocol/report-data.ts';
import { noPlatformLists, type PlatformLists } from '../../../src/trust/platform-lists.ts';
import { registrationReportData } from '../../../src/trust/registration.ts';
import { countingRandom, type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import { listsOf } from '../../support/platform-worlds.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const NEVER = new AbortController().signal;
const MINUTE = 60_000;
const nonce = Nonce.of(new Uint8Array(32));

let world: KeyServerWorld;
let vetter: ServerVetter;
let attestations: number;
/** Changes the answer of `GET /attestation` on its way. */
let change: (answer: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;
let verifications: () => number;
/** What the fleet says about platforms; the server runs on platform 0. */
let lists: PlatformLists;

beforeEach(() => {
  world = keyServerWorld({
    platforms: { recover: 'any', servers: 'endorsed', clients: 'any' },
    platformLists: () => lists,
  });
  lists = listsOf(world.pki, { endorsed: [0] });
  attestations = 0;
  change = (answer) => answer;
  const verify = vi.spyOn(world.verifier, 'verifyChainOnly');
  verifications = () => verify.mock.calls.length;
  const transport = {
    async send(_endpoint: string, path: string) {
      attestations++;
      const { status, json } = await world.send('GET', path);
      return { status, body: change(json) };
    },
  };
  vetter = new ServerVetter({
    verifier: world.verifier,
    evidenceVerifier: world.evidenceVerifier,
    judge: world.judge,
    client: new PeerClient({ transport, clock: world.clock, random: countingRandom(9) }),
    clock: world.clock,
    bounds: { maxAgeMs: 10 * MINUTE, blockTimeMs: 6_000 },
  });
});

/** The server's record, as it registered itself. */
async function registered(): Promise<ServerRecord> {
  const { json } = await world.send('GET', '/attestation');
  const x25519PublicKey = X25519PublicKey.parse(String(json['x25519PublicKey']), 'x25519PublicKey');
  const reportData = registrationReportData(world.account, x25519PublicKey, 0, nonce);
  return {
    stash: world.account,
    account: world.account,
    x25519PublicKey,
    endpoint: '127.0.0.1:1',
    quote: world.quote({ reportData }),
    active: true,
    signer: false,
  };
}

/** The failure code of a vetting, or `passed`. */
async function outcome(record: ServerRecord, snapshot: ChainSnapshot, role?: 'holder'): Promise<string> {
  try {
    await vetter.vet(record, snapshot, NEVER, role);
    return 'passed';
  } catch (error) {
    const failure = failureOf(error);
    return failure.kind === 'untrusted' ? failure.code : failure.kind;
  }
}

/** A quote over what the answer of `GET /attestation` binds, made by a machine of choice. */
function quoteFor(
  answer: Readonly<Record<string, unknown>>,
  record: ServerRecord,
  request: Partial<Parameters<KeyServerWorld['quote']>[0]>,
): string {
  const { number, hash } = z.object({ number: z.int(), hash: z.string() }).parse(answer['finalized']);
  const reportData = attestationReportData({
    server: record.account,
    x25519PublicKey: record.x25519PublicKey,
    instanceId: InstanceId.parse(String(answer['instanceId']), 'instanceId'),
    finalized: { number, hash: BlockHash.parse(hash, 'hash') },
  });
  return toBase64(world.quote({ reportData, ...request }));
}

describe('the platform of a server', () => {
  const verdicts = async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    return [await outcome(record, snapshot), await outcome(record, snapshot, 'holder')];
  };

  it('is judged before the server is asked, and again after it has passed', async () => {
    expect(await verdicts()).toEqual(['passed', 'passed']);
    const asked = attestations;
    lists = noPlatformLists;
    // The holder of a slot is asked: its slots count in part.
    expect(await verdicts()).toEqual(['PLATFORM_NOT_ENDORSED', 'passed']);
    const record = await registered();
    expect(vetter.countsInPart(record)).toBe(true);
    expect(vetter.platformRefusal(record)).toMatchObject({ code: 'PLATFORM_NOT_ENDORSED' });
    expect(attestations).toBe(asked);
    lists = listsOf(world.pki, { endorsed: [0] });
    expect(vetter.countsInPart(record)).toBe(false);
  });

  it('may be revoked for the holder of a slot, whose slots count in part', async () => {
    lists = listsOf(world.pki, { endorsed: [0], revoked: [0] });
    expect(await verdicts()).toEqual(['PLATFORM_REVOKED', 'passed']);
    const record = await registered();
    expect(vetter.countsInPart(record)).toBe(true);
    expect(vetter.platformRefusal(record)).toMatchObject({ code: 'PLATFORM_REVOKED' });
  });

  it('and its attestation are asked for again when the rules have changed', async () => {
    lists = listsOf(world.pki, { endorsed: [0] });
    await verdicts();
    const asked = attestations;
    vetter.forget();
    await verdicts();
    expect(attestations).toBe(asked + 2);
  });

  it('does not matter for the proof that a process is another one: that loss is a fact', async () => {
    lists = noPlatformLists;
    const record = await registered();
    const instance = await vetter.instanceOf(record, await world.chain.snapshot(), NEVER);
    expect(instance).toEqual(world.keyServer.identity.instanceId);
  });

  it('is not refused where the record proves none: that has its own refusal', async () => {
    const record = { ...(await registered()), quote: new Uint8Array(10) };
    expect([vetter.countsInPart(record), vetter.platformRefusal(record)]).toEqual([false, undefined]);
  });
});

describe('an attestation is refused', () => {
  it('when its report data bind other values', async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    change = (answer) => ({ ...answer, quote: quoteFor(answer, record, { reportData: new Uint8Array(64) }) });
    expect(await outcome(record, snapshot)).toBe('REPORT_DATA_MISMATCH');
    change = (answer) => ({ ...answer, quote: quoteFor(answer, record, {}) });
    expect(await outcome(record, snapshot)).toBe('passed');
  });

  it('when it is for another X25519 key than the registered one', async () => {
    const record = await registered();
    const other = { ...record, x25519PublicKey: X25519PublicKey.of(seededBytes(77, 32)) };
    const reportData = registrationReportData(other.account, other.x25519PublicKey, 0, nonce);
    const forged = { ...other, quote: world.quote({ reportData }) };
    expect(await outcome(forged, await world.chain.snapshot())).toBe('REPORT_DATA_MISMATCH');
  });

  it('when another server answers', async () => {
    const record = await registered();
    const other = AccountId.of(seededBytes(78, 32));
    change = (answer) => ({ ...answer, server: encodeSs58(other) });
    expect(await outcome(record, await world.chain.snapshot())).toBe('impostor');
  });

  it('when it comes from another platform than the registered one', async () => {
    const record = await registered();
    change = (answer) => ({ ...answer, quote: quoteFor(answer, record, { platform: 5 }) });
    expect(await outcome(record, await world.chain.snapshot())).toBe('PLATFORM_REFUSED');
  });

  it.each([
    ['behind', 100, 'passed'],
    ['behind', 101, 'ATTESTATION_STALE'],
    ['ahead of', -100, 'passed'],
    ['ahead of', -101, 'ATTESTATION_STALE'],
  ] as const)(
    'when its block is more than ten minutes %s the chain: %i blocks',
    async (_how, blocks, code) => {
      const record = await registered();
      const snapshot = await world.chain.snapshot();
      // The server of this test cites the block of this snapshot.
      const block = { ...snapshot.block, number: snapshot.block.number + blocks };
      expect(await outcome(record, { ...snapshot, block })).toBe(code);
    },
  );

  it('when the machine runs an image that is not accepted', async () => {
    const record = await registered();
    const body = { rtMr2: new Uint8Array(48).fill(9) };
    change = (answer) => ({ ...answer, quote: quoteFor(answer, record, { body }) });
    for (const role of [undefined, 'holder'] as const) {
      expect(await outcome(record, await world.chain.snapshot(), role)).toBe('MEASUREMENT_REFUSED');
    }
  });

  it('when its TCB is out of date, unless the server holds a slot within the grace period', async () => {
    const record = await registered();
    const body = { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Uint8Array(13)) };
    change = (answer) => ({ ...answer, quote: quoteFor(answer, record, { body }) });
    const snapshot = await world.chain.snapshot();
    expect(await outcome(record, snapshot)).toBe('TCB_STATUS_REFUSED');
    expect(await outcome(record, snapshot, 'holder')).toBe('passed');
    // A passed holder is no new server.
    expect(await outcome(record, snapshot)).toBe('TCB_STATUS_REFUSED');
  });
});

describe('an attestation that a server sent itself', () => {
  /** The code of the judgement, or `passed`. */
  const judged = async (record: ServerRecord, quote?: Partial<Parameters<KeyServerWorld['quote']>[0]>) => {
    const { json } = await world.send('GET', '/attestation');
    const changed = quote === undefined ? json : { ...json, quote: quoteFor(json, record, quote) };
    const attestation = decodeAttestation(changed, 'answer');
    try {
      await vetter.judgeAttestation(record, attestation, await world.chain.snapshot());
      return 'passed';
    } catch (error) {
      const failure = failureOf(error);
      return failure.kind === 'untrusted' ? failure.code : failure.kind;
    }
  };

  it('is judged like one that was asked for: registration, platform, report data, image and age', async () => {
    const record = await registered();
    expect(await judged(record)).toBe('passed');
    expect(await judged({ ...record, quote: new Uint8Array(10) })).toBe('REGISTRATION_MISMATCH');
    expect(await judged(record, { reportData: new Uint8Array(64) })).toBe('REPORT_DATA_MISMATCH');
    expect(await judged(record, { platform: 5 })).toBe('PLATFORM_REFUSED');
    const body = { rtMr2: new Uint8Array(48).fill(9) };
    expect(await judged(record, { body })).toBe('MEASUREMENT_REFUSED');
    lists = listsOf(world.pki, { endorsed: [0], revoked: [0] });
    expect(await judged(record)).toBe('PLATFORM_REVOKED');
  });

  it('has the grace of a server that has a slot when its TCB is out of date', async () => {
    const record = await registered();
    const body = { teeTcbSvn: Uint8Array.of(5, 1, 7, ...new Uint8Array(13)) };
    expect(await judged(record, { body })).toBe('passed');
  });

  it('names its process to nobody where the registration proves no machine', async () => {
    const record = { ...(await registered()), quote: new Uint8Array(10) };
    const snapshot = await world.chain.snapshot();
    await expect(vetter.instanceOf(record, snapshot, NEVER)).rejects.toMatchObject({
      failure: { code: 'REGISTRATION_MISMATCH' },
    });
  });
});

describe('a server that was found good', () => {
  it('is not asked again for thirty seconds', async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    await vetter.vet(record, snapshot, NEVER);
    await world.clock.advance(29_999);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(1);
    await world.clock.advance(1);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(2);
  });

  it('is asked again when its registration names another platform: any machine there can make that quote', async () => {
    const record = await registered();
    lists = listsOf(world.pki, { endorsed: [0, 5] });
    const snapshot = await world.chain.snapshot();
    const reportData = registrationReportData(record.account, record.x25519PublicKey, 0, nonce);
    const elsewhere = { ...record, quote: world.quote({ reportData, platform: 5 }) };
    for (const role of [undefined, 'holder'] as const) {
      expect(await outcome(record, snapshot, role)).toBe('passed');
      expect(await outcome(elsewhere, snapshot, role)).toBe('PLATFORM_REFUSED');
    }
  });

  it('is asked again when the clock is set back, also within thirty seconds', async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    await vetter.vet(record, snapshot, NEVER);
    await world.clock.advance(-60 * MINUTE);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(2);
  });
});

describe('a registered quote', () => {
  it('of another account is refused without a verification of signatures', async () => {
    const record = await registered();
    const others = Array.from({ length: 20 }, (_, at) => AccountId.of(seededBytes(at + 1, 32)));
    for (const account of others) expect(vetter.platformOf({ ...record, account })).toBeUndefined();
    expect(verifications()).toBe(0);
    expect(vetter.platformOf(record)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('with an invalid signature is verified once in ten minutes', async () => {
    const record = await registered();
    const forged = { ...record, quote: record.quote.slice() };
    // In the header, which the signature covers and nothing else looks at.
    forged.quote[30] = (forged.quote[30] ?? 0) ^ 1;
    for (let walk = 0; walk < 5; walk++) expect(vetter.platformOf(forged)).toBeUndefined();
    expect(verifications()).toBe(1);
    await world.clock.advance(10 * MINUTE);
    expect(vetter.platformOf(forged)).toBeUndefined();
    expect(verifications()).toBe(2);
  });

  it('that was refused because of a wrong clock is accepted when the clock is right', async () => {
    const record = await registered();
    const right = world.clock.nowMs();
    for (const wrong of [0, right + 100 * 365 * 86_400_000]) {
      await world.clock.to(wrong);
      const elsewhere = {
        ...record,
        quote: Uint8Array.of(...record.quote, ...new Uint8Array(wrong === 0 ? 1 : 2)),
      };
      expect(vetter.platformOf(elsewhere)).toBeUndefined();
      await world.clock.to(right);
      expect(vetter.platformOf(elsewhere)).toBeDefined();
    }
  });
});

describe('recent names', () => {
  it('are bounded: the oldest name is removed first', () => {
    const names = new RecentNames({ forMs: 10, capacity: 2 });
    for (const name of ['a', 'b', 'a', 'c']) names.add(name, 0);
    expect(['a', 'b', 'c'].filter((name) => names.has(name, 5))).toEqual(['a', 'c']);
  });
});
