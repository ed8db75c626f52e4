import { equalBytes } from '../../bytes/concat.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { ServerState } from '../../protocol/slot-messages.ts';
import { type Clock, withDeadline } from '../../time/clock.ts';
import type { AccountHold } from '../node/account-hold.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { RollbackCheck } from '../node/rollback-check.ts';
import type { HeldSlot, PeerClient, PeerRecord } from '../peer/peer-client.ts';
import { askLineage } from './slot-check.ts';

/** Rounds of one attempt: each goes above what the one before has met. */
const MAX_ROUNDS = 6;

/** A living slot at whose server a boot reserves its number and shows its mark. */
export interface HoldTarget {
  readonly peer: PeerRecord;
  readonly held: HeldSlot;
  /** The generation that the slot belongs to. */
  readonly generation: number;
}

/** Slots of one or two generations, and how many of each generation a boot needs. */
export interface HoldQuorum {
  readonly targets: readonly HoldTarget[];
  /** t by generation. */
  readonly thresholds: ReadonlyMap<number, number>;
}

/**
 * Takes hold of the account: reserves a number at t servers of a generation, then shows the mark of this boot there.
 * Nothing is shown before the number is reserved, and nothing counts from a server that remembers a newer store.
 * @param rollback compares the heads that the servers show.
 * @returns whether the boot holds now; false when too few servers answered.
 * @throws EvidenceError STORE_ROLLED_BACK.
 */
export async function takeHold(
  client: PeerClient,
  hold: AccountHold,
  rollback: RollbackCheck | undefined,
  quorum: HoldQuorum,
  signal: AbortSignal,
): Promise<boolean> {
  const ask = (request: (target: HoldTarget) => Promise<ServerState>) =>
    askAll(quorum.targets, async (target) => {
      const { lineage } = await request(target);
      hold.observe(lineage);
      if (lineage !== undefined) rollback?.compare(lineage);
      return lineage;
    });
  for (let round = 0; round < MAX_ROUNDS && !signal.aborted; round++) {
    if (hold.isBeaten) hold.rise();
    const reserved = await ask(({ peer, held }) => client.reserve(peer, held, hold.wish, signal));
    if (
      isEnough(
        quorum,
        reserved.filter(({ lineage }) => lineage && hold.isReserved(lineage)),
      )
    ) {
      const shown = await ask(({ peer, held }) => client.claim(peer, held, hold.incarnation, signal));
      if (
        isEnough(
          quorum,
          shown.filter(({ lineage }) => lineage && hold.isShown(lineage)),
        )
      ) {
        hold.take();
        return true;
      }
    }
    if (!hold.isBeaten) return false;
  }
  return false;
}

interface Answer {
  readonly target: HoldTarget;
  readonly lineage: ServerState['lineage'];
}

/** How long the servers of the chain are asked what they know of a lineage. */
const SWEEP_MS = 5_000;

/**
 * Asks every server on the chain for the lineage, before anything new is made, or an older store is accepted.
 * @returns what those know that answered in time.
 */
export async function sweepLineage(
  { client, clock }: { readonly client: PeerClient; readonly clock: Clock },
  { hold, identity }: Pick<OpenNode, 'hold' | 'identity'>,
  { servers }: ChainSnapshot,
  signal: AbortSignal,
): Promise<readonly LineageState[]> {
  const found: LineageState[] = [];
  const others = servers.filter(({ account }) => !equalBytes(account, identity.account));
  await withDeadline(
    clock,
    SWEEP_MS,
    async (abort) => {
      await Promise.all(
        others.map(async (record) => {
          const state = await askLineage(client, hold, record, identity.account, abort);
          if (state !== undefined) found.push(state);
        }),
      );
    },
    signal,
  );
  return found;
}

/** Asks all at once. A server that does not answer is left out; what the node itself refuses is thrown at the end. */
async function askAll(
  targets: readonly HoldTarget[],
  ask: (target: HoldTarget) => Promise<ServerState['lineage']>,
): Promise<readonly Answer[]> {
  const results = await Promise.allSettled(
    targets.map(async (target) => ({ target, lineage: await ask(target) })),
  );
  const refusal = results.find((result) => result.status === 'rejected' && isRolledBack(result.reason));
  if (refusal?.status === 'rejected') throw refusal.reason;
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

const isRolledBack = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.code === 'STORE_ROLLED_BACK';

/** Whether the answers come from t servers of one generation. */
const isEnough = ({ thresholds }: HoldQuorum, answers: readonly Answer[]): boolean =>
  [...thresholds].some(
    ([generation, t]) => answers.filter(({ target }) => target.generation === generation).length >= t,
  );
