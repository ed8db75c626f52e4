import { setMaxListeners } from 'node:events';
import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { ServerState } from '../../protocol/slot-messages.ts';
import { Breather } from '../../store/breather.ts';
import type { Clock } from '../../time/clock.ts';
import { withDeadline } from '../../time/deadline.ts';
import type { AccountHold } from '../node/account-hold.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { ServerVetter } from '../obtain/vet-server.ts';
import type { HeldSlot, PeerRecord } from '../peer/held-keys.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { failureOf, type PeerFailure } from '../peer/peer-failure.ts';
import { askLineage, type LineageAsker } from './slot-check.ts';

/** Rounds of one attempt: each goes above what the one before has met. */
const MAX_ROUNDS = 6;

/** A living slot: a boot reserves its number, and shows its mark, at the server of it. */
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
  /** Is told why a server did not answer. */
  readonly onFailure?: (target: HoldTarget, failure: PeerFailure) => void;
}

/**
 * Takes hold of the account: reserves a number at t servers of a generation, then shows the mark of this boot there.
 * Nothing is shown before the number is reserved, and nothing after an answer that remembers a newer store.
 * @returns whether the boot holds now; false when too few servers answered.
 * @throws EvidenceError STORE_ROLLED_BACK, LINEAGE_CLOSED.
 */
export async function takeHold(
  client: PeerClient,
  hold: AccountHold,
  quorum: HoldQuorum,
  signal: AbortSignal,
): Promise<boolean> {
  const askAfterLoss = ({ peer, held }: HoldTarget) => askLineage(client, hold, peer, held.account, signal);
  for (let round = 0; round < MAX_ROUNDS && !signal.aborted; round++) {
    hold.requireCurrent();
    if (hold.isBeaten) hold.rise();
    const isReserved = await askUntil(quorum, hold, {
      ask: ({ peer, held }) => client.reserve(peer, held, hold.wish, signal),
      askAfterLoss,
      counts: (lineage) => hold.isReserved(lineage),
    });
    hold.requireCurrent();
    hold.endAcceptance();
    const isShown =
      isReserved &&
      (await askUntil(quorum, hold, {
        ask: ({ peer, held }) => client.claim(peer, held, hold.incarnation, signal),
        askAfterLoss,
        counts: (lineage) => hold.isShown(lineage),
      }));
    hold.requireCurrent();
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

/** Most servers that are asked what they know of a lineage. */
const MAX_SWEPT = 256;
/** Most servers of one platform that are asked before all others: one machine can register any number of accounts. */
const MAX_OF_PLATFORM = 16;

/**
 * Asks the servers on the chain for the lineage, those of the keyslot file first, before anything new is made or an older
 * store is accepted. The hold of the account sees what they show. Only servers with a registration that proves a machine are
 * asked: anybody can register an address.
 */
export function sweepLineage(
  tools: SweepTools,
  { hold, identity, book }: Pick<OpenNode, 'hold' | 'identity' | 'book'>,
  snapshot: ChainSnapshot,
  signal: AbortSignal,
): Promise<void> {
  const holders = book.slots().map(({ slot }) => slot.server);
  return sweepFor(tools, hold, { account: identity.account, holders }, snapshot, signal);
}

/** The parts that a sweep uses. */
export interface SweepTools {
  readonly client: PeerClient;
  readonly clock: Clock;
  readonly vetter: ServerVetter;
}

/**
 * {@link sweepLineage} without an open store.
 * @param store the account, and the servers of its keyslot file.
 */
export async function sweepFor(
  { client, clock, vetter }: SweepTools,
  asker: LineageAsker,
  store: { readonly account: AccountId; readonly holders: readonly AccountId[] },
  { servers }: ChainSnapshot,
  signal: AbortSignal,
): Promise<void> {
  const hasSlot = ({ account }: ServerRecord): boolean =>
    store.holders.some((server) => equalBytes(server, account));
  const others = servers.filter(({ account }) => !equalBytes(account, store.account));
  const ordered = [...others.filter(hasSlot), ...others.filter((record) => !hasSlot(record))];
  await withDeadline(
    clock,
    SWEEP_MS,
    async (abort) => {
      setMaxListeners(0, abort);
      const breather = new Breather();
      const answers: Promise<unknown>[] = [];
      const ask = (record: ServerRecord) =>
        answers.push(askLineage(client, asker, record, store.account, abort));
      const ofPlatform = new Map<string, number>();
      const later: ServerRecord[] = [];
      for (const record of ordered) {
        // A registration takes milliseconds to verify, and the chain may have thousands.
        await breather.pause();
        if (abort.aborted || answers.length === MAX_SWEPT) break;
        const platform = vetter.platformOf(record);
        if (platform === undefined) continue;
        const count = ofPlatform.get(platform) ?? 0;
        ofPlatform.set(platform, count + 1);
        if (count < MAX_OF_PLATFORM) ask(record);
        else later.push(record);
      }
      for (const record of later.slice(0, MAX_SWEPT - answers.length)) ask(record);
      await Promise.all(answers);
    },
    signal,
  );
}

/** A request to every slot, and which answers count. */
interface Question {
  readonly ask: (target: HoldTarget) => Promise<ServerState>;
  /** Asks a server without the slot what it knows of the lineage: a newer instance may have shown itself there. */
  readonly askAfterLoss: (target: HoldTarget) => Promise<unknown>;
  readonly counts: (lineage: LineageState) => boolean;
}

/**
 * Asks all at once. Ends as soon as t servers of one generation count, so that a server that hangs holds up nothing; the
 * hold of the account sees every answer, also those that come later. A server that does not answer does not count.
 */
async function askUntil(
  { targets, thresholds, onFailure }: HoldQuorum,
  hold: AccountHold,
  { ask, askAfterLoss, counts }: Question,
): Promise<boolean> {
  const counted = new Map<number, number>();
  let isEnough = false;
  await new Promise<void>((resolve) => {
    const one = async (target: HoldTarget): Promise<void> => {
      const lineage = await ask(target).then(
        ({ lineage: shown }) => shown,
        async (error: unknown) => {
          const failure = failureOf(error);
          onFailure?.(target, failure);
          if (failure.kind === 'forgot') await askAfterLoss(target);
          return undefined;
        },
      );
      hold.observe(lineage);
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
