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
  const ask = (
    request: (target: HoldTarget) => Promise<ServerState>,
    counts: (lineage: LineageState) => boolean,
  ): Promise<boolean> =>
    askUntil(quorum, counts, async (target) => {
      const { lineage } = await request(target);
      hold.observe(lineage);
      if (lineage !== undefined) rollback?.compare(lineage);
      return lineage;
    });
  for (let round = 0; round < MAX_ROUNDS && !signal.aborted; round++) {
    if (hold.isBeaten) hold.rise();
    const isReserved = await ask(
      async ({ peer, held }) => {
        const state = await client.reserve(peer, held, hold.wish, signal);
        // An operator who accepts an older store accepts what a server shows late, too.
        if (round === 0 && state.lineage !== undefined) rollback?.accept(state.lineage);
        return state;
      },
      (lineage) => hold.isReserved(lineage),
    );
    const isShown =
      isReserved &&
      (await ask(
        ({ peer, held }) => client.claim(peer, held, hold.incarnation, signal),
        (lineage) => hold.isShown(lineage),
      ));
    // Another instance may have shown itself since: then this one goes above it, and writes nothing before.
    if (isShown && !hold.isOutrun) {
      hold.take();
      return true;
    }
    if (!hold.isBeaten) return false;
  }
  return false;
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

/**
 * Asks all at once. Ends as soon as t servers of one generation count, so that a server that hangs holds up nothing;
 * what the others answer is still looked at. A server that does not answer does not count.
 * @throws EvidenceError STORE_ROLLED_BACK when one of the answers shows that this store is too old.
 */
async function askUntil(
  { targets, thresholds }: HoldQuorum,
  counts: (lineage: LineageState) => boolean,
  ask: (target: HoldTarget) => Promise<LineageState | undefined>,
): Promise<boolean> {
  const counted = new Map<number, number>();
  let isEnough = false;
  await new Promise<void>((resolve, reject) => {
    const one = async (target: HoldTarget): Promise<void> => {
      const lineage = await ask(target).catch((error: unknown) => {
        if (isRolledBack(error)) reject(error);
        return undefined;
      });
      if (lineage === undefined || !counts(lineage)) return;
      const count = (counted.get(target.generation) ?? 0) + 1;
      counted.set(target.generation, count);
      if (count < (thresholds.get(target.generation) ?? Number.POSITIVE_INFINITY)) return;
      isEnough = true;
      resolve();
    };
    void Promise.all(targets.map(one)).then(() => resolve());
  });
  return isEnough;
}

const isRolledBack = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.code === 'STORE_ROLLED_BACK';
