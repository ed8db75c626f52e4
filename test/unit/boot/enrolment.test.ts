import { describe, expect, it } from 'vitest';
import { type EnrolmentInput, enrol, shortfall } from '../../../src/boot/obtain/enrolment.ts';
import type { HeldSlot, PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { PeerClient, QuotedRequest } from '../../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import { KeyId, Nonce, type SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import type { KeyGrant } from '../../../src/protocol/sealed-key.ts';
import type { KeyStatus } from '../../../src/protocol/slot-messages.ts';
import { processAt, serverAt } from '../../support/checked-slots.ts';
import { seededDice } from '../../support/disk-dice.ts';
import { firstIncarnation, lineageOf, stateOf } from '../../support/lineages.ts';

const quorum = { t: 2, n: 3 };
const lineage = lineageOf(1);

/** What a test changes of a server, by its number. */
interface Conduct {
  readonly isUntrusted?: boolean;
  readonly platform?: string;
  /** It gives no token, or a key that it had before. */
  readonly gives?: 'no token' | 'an old key';
  /** It does not link the slot, links another one, or proves its key as another process. */
  readonly links?: 'nothing' | 'another slot' | 'as another process' | 'fails';
}

/** An enrolment at servers 1 to `count`, which the ranking puts in an order of its own. */
async function scene(
  count: number,
  conduct: Readonly<Record<number, Conduct>> = {},
  change: Partial<EnrolmentInput> = {},
) {
  const dice = seededDice(5);
  const numberOf = ({ account }: Pick<PeerRecord, 'account'>) => account[0] ?? 0;
  const conductOf = (record: Pick<PeerRecord, 'account'>) => conduct[numberOf(record)] ?? {};
  const calls = { asked: [] as number[], vetted: [] as number[], forgotten: [] as number[] };
  const keys = new Map<number, SecretBytes>();
  const tokens = new Map<number, SecretBytes>();
  const statuses: KeyStatus[] = [];
  const client = {
    challenge: async (peer: PeerRecord) => {
      calls.asked.push(numberOf(peer));
      return Nonce.of(new Uint8Array(32));
    },
    requestKey: async (peer: PeerRecord, _request: QuotedRequest) => {
      const { gives } = conductOf(peer);
      const key = new SecretBytes(dice.bytes(32));
      const token = new SecretBytes(dice.bytes(32));
      keys.set(numberOf(peer), key);
      tokens.set(numberOf(peer), token);
      const grant = {
        key,
        keyId: KeyId.of(dice.bytes(16)),
        created: gives !== 'an old key',
        recoveryToken: gives === 'no token' ? undefined : token,
      };
      // An enrolment looks at nothing else of a grant.
      return { grant: grant as unknown as KeyGrant, instanceId: processAt(100) };
    },
    keyStatus: async (peer: PeerRecord, { slotId }: HeldSlot, status: KeyStatus, lineageKey: SecretBytes) => {
      const { links } = conductOf(peer);
      statuses.push(status);
      expect(lineageKey.equals(lineage.keyOf(peer.account))).toBe(true);
      if (links === 'fails') throw new PeerError({ kind: 'unreachable', detail: 'x' });
      const linked: SlotId[] = links === 'another slot' ? [processAt(1) as unknown as SlotId] : [slotId];
      return {
        instanceId: processAt(links === 'as another process' ? 101 : 100),
        lineage: links === 'nothing' ? undefined : stateOf({ slots: linked }),
      };
    },
    forget: async (peer: PeerRecord, _held: HeldSlot, _from: Incarnation) => {
      calls.forgotten.push(numberOf(peer));
    },
  } as unknown as PeerClient;
  const vetter = {
    platformOf: (record: PeerRecord) => conductOf(record).platform ?? toHex(record.account),
    vet: async (record: PeerRecord) => {
      calls.vetted.push(numberOf(record));
      if (conductOf(record).isUntrusted)
        throw new PeerError({ kind: 'untrusted', code: 'MEASUREMENT_REFUSED', detail: 'x' });
    },
  };
  const servers = Array.from({ length: count }, (_one, at) => ({
    account: serverAt(at + 1),
    stash: serverAt(at + 1),
    endpoint: `h${at + 1}`,
    active: true,
    signer: false,
  }));
  const enrolment = await enrol(
    {
      client,
      vetter: vetter as never,
      clock: { nowMs: () => 0, sleep: () => new Promise(() => undefined) },
      quotes: { quote: async () => new Uint8Array(8) },
      random: (length) => dice.bytes(length),
    },
    {
      account: serverAt(200),
      snapshot: { servers } as never,
      quorum,
      enrolled: [],
      link: {
        lineage,
        confirm: true,
        incarnation: firstIncarnation,
        head: () => undefined,
        observer: { observe: () => undefined },
      },
      worthwhile: quorum.t,
      signal: new AbortController().signal,
      ...change,
    },
  );
  // What is to be erased is asked for in the background.
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  const got = enrolment.servers.map(({ server }) => server[0] ?? 0).sort();
  const failed = new Map(
    [...enrolment.failures.values()].map(({ record, failure }) => [
      numberOf(record),
      'code' in failure ? failure.code : failure.kind,
    ]),
  );
  const sorted = (numbers: readonly number[]) => [...numbers].sort();
  return { enrolment, ...calls, asked: sorted(calls.asked), got, failed, keys, tokens, statuses };
}

const isWiped = (key: SecretBytes | undefined): boolean => {
  try {
    key?.reveal();
    return false;
  } catch {
    return true;
  }
};

describe('an enrolment', () => {
  it('gets and links n keys, and asks no further server', async () => {
    const { got, asked, failed, statuses, enrolment } = await scene(3);
    expect([got, asked, failed.size]).toEqual([[1, 2, 3], [1, 2, 3], 0]);
    expect(statuses.map(({ confirm, incarnation }) => [confirm, incarnation])).toEqual(
      Array(3).fill([true, firstIncarnation]),
    );
    expect([enrolment.unlinked, enrolment.passedOver.size]).toEqual([[], 0]);
    expect((await scene(6)).asked).toHaveLength(3);
  });

  it('asks another server in place of each one that does not pass', async () => {
    const { got, asked, failed } = await scene(4, { 1: { isUntrusted: true } });
    expect([got, asked]).toEqual([
      [2, 3, 4],
      [2, 3, 4],
    ]);
    // Only where it was among the first n.
    if (failed.size > 0) expect(failed.get(1)).toBe('MEASUREMENT_REFUSED');
  });

  it.each([
    ['gives no recovery token', { gives: 'no token' }, 'garbage'],
    ['gives a key that it had before', { gives: 'an old key' }, 'garbage'],
  ] as const)(
    'takes no key of a server that %s: its share could be read by others',
    async (_why, bad, code) => {
      const { got, failed, keys } = await scene(3, { 2: bad });
      expect([got, failed.get(2), isWiped(keys.get(2))]).toEqual([[1, 3], code, true]);
    },
  );

  it.each([
    ['does not link the slot', { links: 'nothing' }, 'SLOT_UNLINKED'],
    ['links another slot', { links: 'another slot' }, 'SLOT_UNLINKED'],
    ['proves the key as another process', { links: 'as another process' }, 'garbage'],
    ['is not reached again', { links: 'fails' }, 'unreachable'],
  ] as const)('has the key erased at a server that %s', async (_why, bad, code) => {
    const { got, failed, keys, tokens, forgotten, enrolment } = await scene(3, { 2: bad });
    expect([got, failed.get(2), forgotten]).toEqual([[1, 3], code, [2]]);
    expect([isWiped(keys.get(2)), isWiped(tokens.get(2)), isWiped(keys.get(1))]).toEqual([true, true, false]);
    expect(enrolment.unlinked.map(({ server }) => server[0])).toEqual([2]);
  });

  it('asks nobody where too few are left for the result to be worthwhile', async () => {
    const bad = { isUntrusted: true };
    const conduct = { 1: bad, 2: bad };
    expect((await scene(3, conduct, { worthwhile: 2 })).asked).toEqual([]);
    expect((await scene(3, conduct, { worthwhile: 1 })).got).toEqual([3]);
  });

  it('does not ask servers that drain, asks the last ones last, and keeps those that have a slot', async () => {
    const draining = await scene(4, {}, { draining: [serverAt(1)] });
    expect([draining.got, draining.enrolment.passedOver.get('draining')]).toEqual([[2, 3, 4], 1]);
    for (const number of [1, 2, 3, 4]) {
      const without = [1, 2, 3, 4].filter((one) => one !== number);
      expect((await scene(4, {}, { last: [serverAt(number)] })).got).toEqual(without);
      expect((await scene(4, {}, { enrolled: [serverAt(number)] })).got).toContain(number);
    }
    // Where no other one is left, the last ones do.
    expect((await scene(3, {}, { last: [serverAt(1)] })).got).toEqual([1, 2, 3]);
  });

  it('says why it got fewer than n', async () => {
    const shared = { platform: 'one' };
    const { enrolment } = await scene(4, { 1: shared, 2: shared, 3: shared });
    expect(shortfall(enrolment, quorum)).toBe('2 of 3 servers gave a key; passed over: 2 platform-limit');
    expect(shortfall((await scene(2)).enrolment, quorum)).toBe('2 of 3 servers gave a key');
  });

  it('asks nobody once its caller has ended', async () => {
    const { got, asked, vetted } = await scene(3, {}, { signal: AbortSignal.abort() });
    expect([got, asked, vetted]).toEqual([[], [], []]);
  });
});
