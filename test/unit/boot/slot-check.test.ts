import { describe, expect, it } from 'vitest';
import {
  askLineage,
  type CheckedSlot,
  checkSlots,
  confirmations,
  hasForgotten,
  isDraining,
  isLive,
  lostSlots,
  newestOf,
  renewAtOlder,
  standingOf,
  withoutRefusedPlatforms,
} from '../../../src/boot/heal/slot-check.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import type { HeldLineage, PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { PeerError, type PeerFailure } from '../../../src/boot/peer/peer-failure.ts';
import { PlatformHash } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import type { LineageState } from '../../../src/protocol/lineage-state.ts';
import type { KeyStatus, ServerState } from '../../../src/protocol/slot-messages.ts';
import { checkedAt, processAt, serverAt, slotAt, slotIdAt } from '../../support/checked-slots.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const kinds = ['live', 'draining', 'asked', 'forgot', 'departed', 'lied', 'unreachable'] as const;
const all = kinds.map((kind, index) => checkedAt(index + 1, kind));
const numberOf = (id: Uint8Array): number => id[0] ?? 0;
const kindsWhere = (test: (one: CheckedSlot) => boolean) =>
  kinds.filter((_kind, index) => all.slice(index, index + 1).some(test));

describe('what a check of slots says', () => {
  it('tells live, draining and forgetful servers apart', () => {
    expect(kindsWhere(isLive)).toEqual(['live', 'draining']);
    expect(kindsWhere(isDraining)).toEqual(['draining']);
    expect(kindsWhere(hasForgotten)).toEqual(['forgot']);
  });

  it('counts as lost what its server says it forgot, and what left the chain; silence and lies are no loss', () => {
    expect(lostSlots({ checked: all }).map((id) => kinds[numberOf(id) - 1])).toEqual(['forgot', 'departed']);
    expect(confirmations({ checked: all }).map(({ slotId }) => kinds[numberOf(slotId) - 1])).toEqual([
      'live',
      'draining',
    ]);
  });
});

describe('what proofs say of a slot', () => {
  const slot = slotAt(1);
  const grant = (server: number, process: number) => ({
    server: serverAt(server),
    instanceId: processAt(process),
  });

  it('is that it lives, or is lost with its server, or nothing: an error is not authenticated', () => {
    const standings = kinds.map((kind) => standingOf(slot, { checked: [checkedAt(1, kind)] }, []));
    expect(standings).toEqual(['live', 'live', 'silent', 'silent', 'lost', 'silent', 'silent']);
    expect(standingOf(slot, { checked: [checkedAt(2, 'live')] }, [])).toBe('silent');
  });

  it('is that it is lost when its server has just given a key as another process, and no other server', () => {
    const standing = (grants: ReturnType<typeof grant>[], kind: (typeof kinds)[number] = 'forgot') =>
      standingOf(slot, { checked: [checkedAt(1, kind)] }, grants);
    expect(standing([grant(1, 101)])).toBe('lost');
    expect(standing([grant(1, 100)])).toBe('silent');
    expect(standing([grant(2, 101)])).toBe('silent');
    // The check came first: its server has restarted since.
    expect(standing([grant(1, 101)], 'live')).toBe('lost');
    expect(standing([grant(1, 100)], 'live')).toBe('live');
    expect(standingOf(slot, { checked: [] }, [grant(1, 101)])).toBe('lost');
  });
});

describe('a slot at a server that would get no new one on its platform', () => {
  const refusal: PeerFailure = { kind: 'untrusted', code: 'PLATFORM_REVOKED', detail: 'x' };
  const servers = [1, 2].map((number) => ({ account: serverAt(number) }));
  const judged = (checked: readonly CheckedSlot[], refused: number) =>
    withoutRefusedPlatforms({ checked }, { servers } as unknown as ChainSnapshot, ({ account }) =>
      numberOf(account) === refused ? refusal : undefined,
    ).checked;

  it('does not count as live, and says why; others do', () => {
    const [first, second, third] = judged(
      [1, 2, 3].map((number) => checkedAt(number, 'live')),
      1,
    );
    expect([first?.instanceId, first?.report.standing]).toEqual([undefined, refusal]);
    // The third one has no record on the chain.
    expect([second, third]).toEqual([checkedAt(2, 'live'), checkedAt(3, 'live')]);
  });

  it('keeps the reason for which it did not count before', () => {
    expect(judged([checkedAt(1, 'forgot')], 1)).toEqual([checkedAt(1, 'forgot')]);
  });
});

it('the newest generation alone says how the store is backed', () => {
  const book = { newest: { slots: [slotAt(1), slotAt(2)] } };
  const checked = [1, 2, 3].map((number) => checkedAt(number, 'live'));
  const newest = (of: object) => newestOf({ book: of } as unknown as OpenNode, { checked });
  expect(newest(book).map(({ slot }) => numberOf(slot.slotId))).toEqual([1, 2]);
  expect(newest({ newest: undefined })).toEqual([]);
});

const lineage = lineageOf(1);
const stranger = lineageOf(2);
const { signal } = new AbortController();
const ownPlatform = PlatformHash.of(new Uint8Array(32).fill(1));
type Answer = Partial<ServerState> | PeerError;

/** A node with one slot at server 1, and what that server answers. */
function scene(answer: (own: LineageState) => Answer, { holds = true, isKnown = true } = {}) {
  const hold = holds
    ? AccountHold.ofNewLineage(lineage, bootOf(5), 4)
    : new AccountHold(lineage, bootOf(5), lineage.incarnation(3, bootOf(4)));
  if (holds) hold.begin();
  const told: Pick<KeyStatus, 'report' | 'head'>[] = [];
  const asked: string[] = [];
  const linked: HeldLineage[] = [];
  const client = {
    keyStatus: async (_peer: PeerRecord, _held: unknown, status: KeyStatus): Promise<ServerState> => {
      asked.push('key-status');
      told.push(status);
      const given = answer(stateOf({ shown: hold.incarnation, slots: [slotIdAt(1), slotIdAt(9)] }));
      if (given instanceof PeerError) throw given;
      return {
        instanceId: processAt(100),
        serverTimeMs: 0,
        draining: false,
        lineage: undefined,
        extensions: new Map(),
        ...given,
      };
    },
    lineageStatus: async (_peer: PeerRecord, held: HeldLineage) => {
      asked.push('lineage-status');
      linked.push(held);
      return { lineage: stateOf({ shown: hold.incarnation }) };
    },
  } as unknown as PeerClient;
  const slot = slotAt(1);
  const newest = { t: 2, n: 3, slots: [slot] };
  const node = {
    hold,
    identity: { account: serverAt(7) },
    book: { newest, slots: () => [{ slot }], keyOf: () => (isKnown ? 'known' : undefined) },
    store: { lease: undefined, head: () => ({ generation: 0, sequence: 5, digest: new Uint8Array(32) }) },
    older: { open: [{ slots: [slotAt(2, 1)] }] },
  } as unknown as OpenNode;
  const check = async (
    servers: readonly number[] = [1],
    known: { readonly live?: number; readonly platform?: PlatformHash | undefined } = {},
    unknown: ReadonlyMap<string, PeerFailure> = new Map(),
  ) => {
    const snapshot = {
      servers: servers.map((number) => ({ account: serverAt(number), endpoint: `h${number}` })),
    } as unknown as ChainSnapshot;
    const { live = 0, platform } = known;
    const found = await checkSlots(client, node, snapshot, { live, unknown, ownPlatform: platform }, signal);
    const [one] = found.checked;
    if (one === undefined) throw new Error('no slot');
    return one;
  };
  return { hold, client, node, check, told, asked, linked };
}

describe('a look at a slot', () => {
  it('finds it alive, or draining, with what its server shows of the lineage', async () => {
    const live = await scene((own) => ({ lineage: own })).check();
    expect(live).toMatchObject({ report: { standing: 'live', endpoint: 'h1' }, instanceId: processAt(100) });
    expect(live.shown.map(numberOf)).toEqual([1, 9]);
    const draining = await scene((own) => ({ lineage: own, draining: true })).check();
    expect(draining).toMatchObject({ report: { standing: 'draining' }, instanceId: processAt(100) });
  });

  it('asks nobody where the server has no record on the chain, or its key is not known', async () => {
    const gone = scene((own) => ({ lineage: own }));
    expect(await gone.check([2])).toMatchObject({ report: { standing: { kind: 'departed' } }, shown: [] });
    const unknown = scene((own) => ({ lineage: own }), { isKnown: false });
    expect((await unknown.check()).report.standing).toBe('asked');
    const failure: PeerFailure = { kind: 'lied', detail: 'x' };
    const because = new Map([[Buffer.from(slotIdAt(1)).toString('hex'), failure]]);
    expect((await unknown.check([1], {}, because)).report.standing).toEqual(failure);
    expect([gone.asked, unknown.asked]).toEqual([[], []]);
  });

  it('asks a server that gave no key because it lost it for the lineage: a newer instance may have shown itself there', async () => {
    const unknown = scene((own) => ({ lineage: own }), { isKnown: false });
    const failure: PeerFailure = { kind: 'forgot', detail: 'it knows no such key' };
    const because = new Map([[Buffer.from(slotIdAt(1)).toString('hex'), failure]]);
    expect((await unknown.check([1], {}, because)).report.standing).toEqual(failure);
    expect(unknown.asked).toEqual(['lineage-status']);
    expect(unknown.linked[0]?.observer).toBe(unknown.hold);
  });

  it('does not believe another process that has the key: it keeps keys in the memory of one', async () => {
    const one = await scene((own) => ({ lineage: own, instanceId: processAt(101) })).check();
    expect(one).toMatchObject({ report: { standing: { kind: 'garbage' } }, instanceId: undefined });
  });

  it('does not count a server that shows a mark which this node did not make, once it holds', async () => {
    const foreign = stateOf({ shown: stranger.incarnation(4, bootOf(9)) });
    for (const lineageShown of [foreign, undefined]) {
      const answer = () => ({ lineage: lineageShown });
      expect((await scene(answer).check()).report.standing).toMatchObject({ kind: 'garbage' });
      expect((await scene(answer, { holds: false }).check()).report.standing).toBe('live');
    }
  });

  it('asks for the lineage where the slot is forgotten: a newer instance may have shown itself there', async () => {
    const forgetful = scene(() => new PeerError({ kind: 'forgot', detail: 'x' }));
    expect((await forgetful.check()).report.standing).toMatchObject({ kind: 'forgot' });
    expect(forgetful.asked).toEqual(['key-status', 'lineage-status']);
    const silent = scene(() => new PeerError({ kind: 'unreachable', detail: 'x' }));
    expect((await silent.check()).report.standing).toMatchObject({ kind: 'unreachable' });
    expect(silent.asked).toEqual(['key-status']);
  });

  it('reports how the store is backed, never more slots than there are, and deposits the head', async () => {
    const { check, told, hold } = scene((own) => ({ lineage: own }));
    await check([1], { live: 2 });
    await check([1], { live: 9 });
    expect(told.map(({ report }) => report)).toEqual([
      { threshold: 2, slots: 3, live: 2 },
      { threshold: 2, slots: 3, live: 3 },
    ]);
    expect(told[0]?.head).toEqual(lineage.head(hold.incarnation, 5, new Uint8Array(32)));
  });

  it('says which slot is bound to another platform than this one, where both are known', async () => {
    const bound = (byte: number) => new Map([['platform', new Uint8Array(32).fill(byte)]]);
    const at = async (byte: number | undefined, platform: PlatformHash | undefined) => {
      const extensions = byte === undefined ? new Map() : bound(byte);
      const one = await scene((own) => ({ lineage: own, extensions })).check([1], { platform });
      return one.report.isBoundElsewhere;
    };
    expect(await at(2, ownPlatform)).toBe(true);
    expect([await at(1, ownPlatform), await at(2, undefined), await at(undefined, ownPlatform)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('the question for a lineage', () => {
  it('is answered or not, and its key is wiped', async () => {
    const { client, hold, linked } = scene((own) => ({ lineage: own }));
    const record = { account: serverAt(1), endpoint: 'h1' } as unknown as PeerRecord;
    expect((await askLineage(client, hold, record, serverAt(7), signal))?.shown).toEqual(hold.incarnation);
    const [held] = linked;
    expect(() => held?.key.reveal()).toThrow('wiped');
    const broken = { lineageStatus: async () => Promise.reject(new Error('down')) } as unknown as PeerClient;
    expect(await askLineage(broken, hold, record, serverAt(7), signal)).toBeUndefined();
  });

  it('is not asked at older generations without a lease', async () => {
    const { client, node, asked } = scene((own) => ({ lineage: own }));
    const snapshot = { servers: [{ account: serverAt(1) }] } as unknown as ChainSnapshot;
    await renewAtOlder(client, node, snapshot, signal);
    expect(asked).toEqual([]);
  });
});
