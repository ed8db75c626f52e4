import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId, InstanceId, PlatformHash, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { EnrolledServer } from '../../keyslots/generations.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import type { Lineage } from '../../lineage/lineage.ts';
import type { ServerState, StoreReport } from '../../protocol/slot-messages.ts';
import type { SlotReport } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { LineageObserver, PeerRecord } from '../peer/held-keys.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { failureOf, type PeerFailure } from '../peer/peer-failure.ts';

/** The result of the check of one slot. */
export interface CheckedSlot {
  readonly slot: Slot;
  readonly report: SlotReport;
  /** The server process that proved to hold the key. */
  readonly instanceId: InstanceId | undefined;
  /** Slots of the lineage that the server showed. */
  readonly shown: readonly SlotId[];
}

/** The one platform that a server gives the key of a slot back to; `undefined` when it names none. */
const bindingIn = (state: ServerState | undefined): Uint8Array | undefined =>
  state?.extensions.get('platform');

/** The results of the check of all slots. */
export interface SlotCheck {
  readonly checked: readonly CheckedSlot[];
}

/** Slots that their servers say are lost, and slots of servers that left the chain, for `SlotBook.note`. */
export const lostSlots = ({ checked }: SlotCheck): SlotId[] =>
  checked.flatMap(({ slot, report: { standing } }) =>
    typeof standing !== 'string' && (standing.kind === 'forgot' || standing.kind === 'departed')
      ? [slot.slotId]
      : [],
  );

/** Slots that their servers proved to hold, for `SlotBook.note`. */
export const confirmations = ({ checked }: SlotCheck): { slotId: SlotId; instanceId: InstanceId }[] =>
  checked.flatMap(({ slot, instanceId }) =>
    instanceId === undefined ? [] : [{ slotId: slot.slotId, instanceId }],
  );

/** Whether the server proved that it holds the slot's key. */
export const isLive = (checked: CheckedSlot): boolean => checked.instanceId !== undefined;

/** Whether a slot is live, and its server reports under the slot's MAC that it drains. */
export const isDraining = ({ report: { standing } }: Pick<CheckedSlot, 'report'>): boolean =>
  standing === 'draining';

/** Whether the server says that it holds no key for the slot. */
export const hasForgotten = ({ report: { standing } }: CheckedSlot): boolean =>
  typeof standing === 'object' && standing.kind === 'forgot';

/**
 * What is known of a slot by proofs alone. It is lost when its server left the chain, or has just given a key as another
 * process than the one that issued the slot: then also when it lived at the check, which came before. An unauthenticated
 * error proves nothing.
 */
export function standingOf(
  slot: Slot,
  { checked }: Pick<SlotCheck, 'checked'>,
  enrolled: readonly Pick<EnrolledServer, 'server' | 'instanceId'>[],
): 'live' | 'silent' | 'lost' {
  const isReborn = enrolled.some(
    ({ server, instanceId }) => equalBytes(server, slot.server) && !equalBytes(instanceId, slot.instanceId),
  );
  if (isReborn) return 'lost';
  const found = checked.find((candidate) => equalBytes(candidate.slot.slotId, slot.slotId));
  if (found !== undefined && isLive(found)) return 'live';
  const standing = found?.report.standing;
  return typeof standing === 'object' && standing.kind === 'departed' ? 'lost' : 'silent';
}

/**
 * Live slots at servers that would get no new slot on their platform do not count as live: a recovery counts them in part
 * or not at all. @param refusalOf gives the reason, by the server's record.
 */
export function withoutRefusedPlatforms(
  { checked }: SlotCheck,
  { servers }: Pick<ChainSnapshot, 'servers'>,
  refusalOf: (record: ServerRecord) => PeerFailure | undefined,
): SlotCheck {
  return {
    checked: checked.map((one) => {
      const record = servers.find(({ account }) => equalBytes(account, one.slot.server));
      const standing = record === undefined || !isLive(one) ? undefined : refusalOf(record);
      if (standing === undefined) return one;
      return { ...one, instanceId: undefined, report: { ...one.report, standing } };
    }),
  };
}

/** The slots of the newer generation. */
export function newestOf(
  { book }: Pick<OpenNode, 'book'>,
  { checked }: Pick<SlotCheck, 'checked'>,
): readonly CheckedSlot[] {
  const slots = book.newest?.slots ?? [];
  return checked.filter(({ slot }) => slots.some(({ slotId }) => equalBytes(slotId, slot.slotId)));
}

/**
 * Asks the server of every slot, in parallel, to prove that it still holds its key; shows the mark, confirms, and
 * deposits the log head on the way. Every answer is shown to the hold of the account. Level-triggered: running it again
 * repairs what an earlier run could not do.
 */
export async function checkSlots(
  client: PeerClient,
  node: OpenNode,
  snapshot: ChainSnapshot,
  known: {
    readonly live: number;
    readonly unknown: ReadonlyMap<string, PeerFailure>;
    /** The platform of this machine, where it is known. */
    readonly ownPlatform?: PlatformHash | undefined;
  },
  signal: AbortSignal,
): Promise<SlotCheck> {
  const { hold } = node;
  const newest = node.book.newest;
  const report: StoreReport | undefined =
    newest === undefined
      ? undefined
      : { threshold: newest.t, slots: newest.n, live: Math.min(known.live, newest.n) };
  const isElsewhere = (state: ServerState | undefined): boolean => {
    const binding = bindingIn(state);
    return (
      binding !== undefined && known.ownPlatform !== undefined && !equalBytes(binding, known.ownPlatform)
    );
  };
  // A denial proves nothing, but a newer instance may have shown itself there.
  const askAfterLoss = (record: PeerRecord) =>
    askLineage(client, hold, record, node.identity.account, signal);
  const checked = await Promise.all(
    node.book.slots().map(async ({ slot }): Promise<CheckedSlot> => {
      const record = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
      const key = node.book.keyOf(slot.slotId);
      const found = (standing: SlotReport['standing'], state?: ServerState): CheckedSlot => ({
        slot,
        report: {
          server: slot.server,
          endpoint: record?.endpoint,
          standing,
          ...(isElsewhere(state) ? { isBoundElsewhere: true } : {}),
        },
        instanceId: state?.instanceId,
        shown: state?.lineage?.slots ?? [],
      });
      if (record === undefined) return found({ kind: 'departed', detail: 'it has no record on the chain' });
      if (key === undefined) {
        const standing = known.unknown.get(toHex(slot.slotId)) ?? 'asked';
        if (typeof standing === 'object' && standing.kind === 'forgot') await askAfterLoss(record);
        return found(standing);
      }
      const held = { account: node.identity.account, slotId: slot.slotId, key, observer: hold };
      const head = hold.headOf(node.store.head());
      const { lease } = node.store;
      const sentAtMs = lease?.nowMs() ?? 0;
      try {
        const status = { confirm: true, incarnation: hold.incarnation, head, report };
        const state = await client.keyStatus(record, held, status, undefined, signal);
        if (state.lineage !== undefined && hold.isShown(state.lineage)) lease?.renewed(slot.slotId, sentAtMs);
        if (!equalBytes(state.instanceId, slot.instanceId)) return found(otherProcess);
        if (hold.holds && !hold.isCredible(state.lineage)) return found(strangeMark);
        return found(state.draining ? 'draining' : 'live', state);
      } catch (error) {
        const failure = failureOf(error);
        if (failure.kind === 'forgot') await askAfterLoss(record);
        return found(failure);
      }
    }),
  );
  return { checked };
}

/**
 * Asks servers of older generations, which can open an older copy of the disk, whether they show the mark of this
 * instance; only under a lease.
 */
export async function renewAtOlder(
  client: PeerClient,
  { hold, store: { lease }, older, identity }: OpenNode,
  { servers }: ChainSnapshot,
  signal: AbortSignal,
): Promise<void> {
  if (lease === undefined) return;
  const slots = older.open.flatMap((generation) => generation.slots);
  const ask = async ({ server, slotId }: (typeof slots)[number]): Promise<void> => {
    const record = servers.find(({ account }) => equalBytes(account, server));
    if (record === undefined) return;
    const sentAtMs = lease.nowMs();
    const lineage = await askLineage(client, hold, record, identity.account, signal);
    if (lineage !== undefined && hold.isShown(lineage)) lease.renewed(slotId, sentAtMs);
  };
  await Promise.all(slots.map(ask));
}

/** Whatever asks servers for a lineage: it has the secret, and sees every answer. */
export interface LineageAsker extends LineageObserver {
  readonly lineage: Lineage;
}

/** What a server knows of the lineage, shown to the asker; `undefined` when it knows nothing, or does not answer. */
export async function askLineage(
  client: PeerClient,
  asker: LineageAsker,
  record: PeerRecord,
  account: AccountId,
  signal: AbortSignal,
): Promise<ServerState['lineage']> {
  const key = asker.lineage.keyOf(record.account);
  try {
    const { lineage } = await client.lineageStatus(record, { account, key, observer: asker }, signal);
    return lineage;
  } catch {
    return undefined;
  } finally {
    key.wipe();
  }
}

/** Where it shows a mark that this node never made, it takes neither heads nor slots of this node. */
const strangeMark: PeerFailure = {
  kind: 'garbage',
  detail: 'it shows a mark that this node did not make',
};

/** Keys live in the memory of one process: a server that says otherwise could keep its slot unconfirmed for ever. */
const otherProcess: PeerFailure = {
  kind: 'garbage',
  detail: 'it proves the key as another process than the one that made it',
};
