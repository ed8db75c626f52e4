import { equalBytes } from '../../bytes/concat.ts';
import type { InstanceId, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { EnrolledServer } from '../../keyslots/generations.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import type { SlotState, StoreReport } from '../../protocol/mac-routes.ts';
import type { SlotReport } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { HeldSlot, PeerClient, PeerRecord } from '../peer/peer-client.ts';
import { failureOf, type PeerFailure } from '../peer/peer-failure.ts';

/** The result of the check of one slot. */
export interface CheckedSlot {
  readonly slot: Slot;
  readonly report: SlotReport;
  /** The server process that proved to hold the key. */
  readonly instanceId: InstanceId | undefined;
  /** The claim that the server shows: that of this boot, a newer one, or neither. */
  readonly claim: 'own' | 'newer' | 'unknown';
}

/** The results of the check of all slots. */
export interface SlotCheck {
  readonly checked: readonly CheckedSlot[];
  /** Largest number of a claim of this node that beats this boot's; 0 when there is none. */
  readonly newerNumber: number;
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
 * process than the one that issued the slot. An unauthenticated error proves nothing.
 */
export function standingOf(
  slot: Slot,
  { checked }: Pick<SlotCheck, 'checked'>,
  enrolled: readonly Pick<EnrolledServer, 'server' | 'instanceId'>[],
): 'live' | 'silent' | 'lost' {
  const found = checked.find((candidate) => equalBytes(candidate.slot.slotId, slot.slotId));
  if (found !== undefined && isLive(found)) return 'live';
  const standing = found?.report.standing;
  if (typeof standing === 'object' && standing.kind === 'departed') return 'lost';
  const isReborn = enrolled.some(
    ({ server, instanceId }) => equalBytes(server, slot.server) && !equalBytes(instanceId, slot.instanceId),
  );
  return isReborn ? 'lost' : 'silent';
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
 * Asks the server of every slot, in parallel, to prove that it still holds its key; claims, confirms and deposits the
 * log head on the way. Level-triggered: running it again repairs what an earlier run could not do.
 */
export async function checkSlots(
  client: PeerClient,
  node: OpenNode,
  snapshot: ChainSnapshot,
  known: { readonly live: number; readonly unknown: ReadonlyMap<string, PeerFailure> },
  signal: AbortSignal,
): Promise<SlotCheck> {
  const newest = node.book.newest;
  const report: StoreReport | undefined =
    newest === undefined
      ? undefined
      : { threshold: newest.t, slots: newest.n, live: Math.min(known.live, newest.n) };
  let newerNumber = 0;
  const checked = await Promise.all(
    node.book.slots().map(async ({ slot }): Promise<CheckedSlot> => {
      const record = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
      const key = node.book.keyOf(slot.slotId);
      const found = (standing: SlotReport['standing'], state?: SlotState): CheckedSlot => ({
        slot,
        report: { server: slot.server, endpoint: record?.endpoint, standing },
        instanceId: state?.instanceId,
        claim: state === undefined ? 'unknown' : claimOf(node, state),
      });
      if (record === undefined) return found({ kind: 'departed', detail: 'it has no record on the chain' });
      if (key === undefined) return found(known.unknown.get(toHex(slot.slotId)) ?? 'asked');
      const held = { account: node.identity.account, slotId: slot.slotId, key };
      try {
        const state = await proveSlot(client, node, record, held, report, signal);
        if (!equalBytes(state.instanceId, slot.instanceId)) return found(otherProcess);
        if (node.claim.isBeatenBy(state.incarnation)) {
          newerNumber = Math.max(newerNumber, state.incarnation.number);
        }
        return found(state.draining ? 'draining' : 'live', state);
      } catch (error) {
        return found(failureOf(error));
      }
    }),
  );
  return { checked, newerNumber };
}

async function proveSlot(
  client: PeerClient,
  node: OpenNode,
  record: PeerRecord,
  held: HeldSlot,
  report: StoreReport | undefined,
  signal: AbortSignal,
): Promise<SlotState> {
  const { claim } = node;
  const incarnation = claim.current;
  const ask = () => {
    const head = node.marks.markHead(node.store.head());
    return client.keyStatus(record, held, { confirm: true, incarnation, head, report }, signal);
  };
  const state = await ask();
  if (claim.isShownBy(state.incarnation) || claim.isBeatenBy(state.incarnation)) return state;
  // A slot that does not know this boot yet takes no head from it.
  const claimed = await client.claim(record, held, incarnation, signal);
  return claim.isShownBy(claimed.incarnation) ? await ask() : claimed;
}

function claimOf({ claim }: OpenNode, { incarnation }: SlotState): CheckedSlot['claim'] {
  if (claim.isShownBy(incarnation)) return 'own';
  return claim.isBeatenBy(incarnation) ? 'newer' : 'unknown';
}

/** Keys live in the memory of one process: a server that says otherwise could keep its slot unconfirmed for ever. */
const otherProcess: PeerFailure = {
  kind: 'garbage',
  detail: 'it proves the key as another process than the one that made it',
};
