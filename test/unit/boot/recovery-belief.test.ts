import { describe, expect, it } from 'vitest';
import { type RecoveryInput, recoverStoreKey } from '../../../src/boot/obtain/recovery.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { PeerClient, QuotedRequest } from '../../../src/boot/peer/peer-client.ts';
import { PeerError, type PeerFailure } from '../../../src/boot/peer/peer-failure.ts';
import { Nonce } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { addGeneration } from '../../../src/keyslots/generations.ts';
import type { KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import type { KeyGrant } from '../../../src/protocol/sealed-key.ts';
import { processAt } from '../../support/checked-slots.ts';
import { type Enrolment, enrol, enrolledServer, fileOf } from '../../support/keyslot-fixtures.ts';
import { stateOf } from '../../support/lineages.ts';

const NOW_MS = 1_000_000_000;
const DAY_MS = 86_400_000;
const untrusted: PeerFailure = { kind: 'untrusted', code: 'MEASUREMENT_REFUSED', detail: 'x' };

/** What a test changes of a server, by its number. */
interface Conduct {
  /** The chain does not prove its machine. */
  readonly isUnproven?: boolean;
  /** Its attestation does not pass. */
  readonly isUntrusted?: boolean;
  readonly hasNoRecord?: boolean;
  /** Its platform, where that is not its own. */
  readonly platform?: string;
  readonly timeMs?: number;
  readonly isSilent?: boolean;
  /** It gives this key in place of its own. */
  readonly otherKey?: Uint8Array;
}

/** A recovery of a file; its servers behave as told. */
async function scene(
  enrolments: readonly Enrolment[],
  conduct: Readonly<Record<number, Conduct>> = {},
  change: Partial<RecoveryInput> = {},
) {
  const all = enrolments.flatMap(({ servers }) => servers);
  const conductOf = ({ account }: Pick<PeerRecord, 'account'>) => conduct[account[0] ?? 0] ?? {};
  const [first, ...others] = enrolments;
  if (first === undefined) throw new Error('no generation');
  let file: KeyslotFile = fileOf(first);
  for (const { generation } of others)
    file = addGeneration(file, generation, ({ slots }) => ({
      live: slots.length,
      possible: slots.length,
    })).file;
  const asked: number[] = [];
  const given: SecretBytes[] = [];
  const client = {
    challenge: async (peer: PeerRecord) => {
      asked.push(peer.account[0] ?? 0);
      if (conductOf(peer).isSilent) throw new PeerError({ kind: 'unreachable', detail: 'x' });
      return Nonce.of(new Uint8Array(32));
    },
    requestKey: async (peer: PeerRecord, { servers }: QuotedRequest) => {
      const slotId = servers.find(({ server }) => toHex(server) === toHex(peer.account))?.slotId;
      const own = all.find((one) => slotId !== undefined && toHex(one.slotId) === toHex(slotId));
      if (own === undefined) throw new PeerError({ kind: 'forgot', detail: 'x' });
      const { timeMs = NOW_MS, otherKey } = conductOf(peer);
      const key = new SecretBytes(otherKey ?? own.key.reveal());
      given.push(key);
      const grant = {
        key,
        keyId: own.keyId,
        created: false,
        serverTimeMs: timeMs,
        lineage: stateOf({ slots: [own.slotId] }),
      };
      // A recovery looks at nothing else of a grant.
      return { grant: grant as unknown as KeyGrant, instanceId: processAt(100) };
    },
  } as unknown as PeerClient;
  const vetter = {
    platformOf: (record: PeerRecord) =>
      conductOf(record).isUnproven ? undefined : (conductOf(record).platform ?? toHex(record.account)),
    countsInPart: () => false,
    vet: async (record: PeerRecord) => {
      if (conductOf(record).isUntrusted) throw new PeerError(untrusted);
    },
  };
  const events: string[] = [];
  const servers = [...new Map(all.map(({ server }) => [toHex(server), server])).values()]
    .map((account) => ({ account, endpoint: `h${account[0]}` }))
    .filter((record) => !conductOf(record).hasNoRecord);
  const outcome = await recoverStoreKey(
    {
      client,
      vetter: vetter as never,
      clock: { nowMs: () => NOW_MS, sleep: () => new Promise(() => undefined) },
      quotes: { quote: async () => new Uint8Array(8) },
      log: (_level, event) => void events.push(event),
    },
    {
      file,
      snapshot: { servers, block: { number: 1, timestampMs: NOW_MS } } as never,
      minimumThreshold: 2,
      clockToleranceMs: 1_000,
      maxTimeJumpMs: DAY_MS,
      signal: new AbortController().signal,
      ...change,
    },
  );
  const standings = (outcome.ok ? outcome.recovered.slots : outcome.slots).map(({ standing }) =>
    typeof standing === 'string' ? standing : 'code' in standing ? standing.code : standing.kind,
  );
  return { outcome, asked, given, events, standings };
}

const isWiped = (key: SecretBytes): boolean => {
  try {
    key.reveal();
    return false;
  } catch {
    return true;
  }
};
const quorum = { t: 2, n: 3 };

describe('which servers a recovery believes', () => {
  it('asks only those whose machine the chain proves, and opens with the others', async () => {
    const made = await enrol(quorum);
    const { outcome, asked, standings } = await scene([made], { 1: { isUnproven: true } });
    expect(asked).toEqual([2, 3]);
    expect(standings[0]).toBe('REGISTRATION_MISMATCH');
    if (!outcome.ok) throw new Error('locked');
    expect(outcome.recovered.storeKey.reveal()).toEqual(made.storeKey.reveal());
  });

  it('counts no key of a server whose attestation does not pass, and keeps none of a failed attempt', async () => {
    const servers = { 1: { isUntrusted: true }, 2: { isUntrusted: true } };
    const { outcome, standings, given } = await scene([await enrol(quorum)], servers);
    expect(outcome).toMatchObject({ ok: false, have: 1, need: 2 });
    expect(standings).toEqual(['MEASUREMENT_REFUSED', 'MEASUREMENT_REFUSED', 'live']);
    // What the one good server showed may refuse a disk, also without the key.
    expect(!outcome.ok && outcome.states).toHaveLength(1);
    expect(given.map(isWiped)).toEqual([true, true, true]);
  });

  it('keeps no key of an untrusted server when the others open the store', async () => {
    const { outcome, given } = await scene([await enrol(quorum)], { 1: { isUntrusted: true } });
    if (!outcome.ok) throw new Error('locked');
    expect(outcome.recovered.serverKeys.size).toBe(2);
    expect(given.map(isWiped)).toEqual([true, false, false]);
    expect(outcome.recovered.states).toHaveLength(2);
  });

  it('asks nobody for a generation whose threshold is below the minimum', async () => {
    const { outcome, asked, standings } = await scene([await enrol(quorum)], {}, { minimumThreshold: 3 });
    expect([outcome.ok, asked]).toEqual([false, []]);
    expect(standings).toEqual(Array(3).fill('THRESHOLD_TOO_LOW'));
  });

  it('names those that left the chain, that are silent, and that give another key', async () => {
    const { standings, outcome } = await scene([await enrol({ t: 3, n: 4 })], {
      1: { hasNoRecord: true },
      2: { isSilent: true },
      3: { otherKey: new Uint8Array(32).fill(1) },
    });
    expect(standings).toEqual(['departed', 'unreachable', 'lied', 'live']);
    expect(outcome).toMatchObject({ ok: false, have: 1, need: 3 });
    const endpoints = (outcome.ok ? [] : outcome.slots).map(({ endpoint }) => endpoint);
    expect(endpoints).toEqual([undefined, 'h2', 'h3', 'h4']);
  });

  it('does not open by one platform alone', async () => {
    const shared = { platform: 'one' };
    const { outcome, standings } = await scene([await enrol(quorum)], { 1: shared, 2: shared, 3: shared });
    expect(outcome.ok).toBe(false);
    expect(standings.filter((standing) => standing === 'PLATFORM_LIMIT')).toHaveLength(2);
  });
});

describe('the time that servers give', () => {
  const timeOf = async (enrolments: readonly Enrolment[], conduct: Readonly<Record<number, Conduct>>) => {
    const { outcome, events } = await scene(enrolments, conduct);
    if (!outcome.ok) throw new Error('locked');
    return { timeMs: outcome.recovered.timeMs, events };
  };
  const allAt = (timeMs: number) => ({ 1: { timeMs }, 2: { timeMs }, 3: { timeMs } });

  it('is taken where t of them agree, up to a day ahead of all other clocks, and else reported', async () => {
    const made = [await enrol(quorum)];
    expect((await timeOf(made, allAt(NOW_MS + DAY_MS))).timeMs).toBe(NOW_MS + DAY_MS);
    const jump = await timeOf(made, allAt(NOW_MS + DAY_MS + 1));
    expect([jump.timeMs, jump.events.includes('time.jump-refused')]).toEqual([undefined, true]);
    const apart = { 1: { timeMs: NOW_MS }, 2: { timeMs: NOW_MS + 5_000 }, 3: { timeMs: NOW_MS + 10_000 } };
    const none = await timeOf(made, apart);
    expect([none.timeMs, none.events]).toEqual([undefined, []]);
  });

  it('has no voice of a generation that the store key did not prove: the host may have written it', async () => {
    const real = await enrol(quorum);
    const strangers = Array.from({ length: 3 }, (_one, at) => enrolledServer(at + 11));
    const forged = await enrol({ t: 3, n: 3 }, { generation: 2, servers: strangers });
    const timeMs = NOW_MS + DAY_MS / 2;
    // One of its servers is silent, so that it does not open and the real generation is asked too.
    const conduct = { 11: { timeMs }, 12: { timeMs }, 13: { isSilent: true } };
    expect((await timeOf([real, forged], conduct)).timeMs).toBe(NOW_MS);
  });
});

it('a recovery that was stopped before it began gives no key', async () => {
  const { outcome, given } = await scene([await enrol(quorum)], {}, { signal: AbortSignal.abort() });
  expect([outcome.ok, given]).toEqual([false, []]);
});
