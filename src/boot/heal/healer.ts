import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot, ChainView } from '../../chain/chain-view.ts';
import { eligibleServers } from '../../keyslots/choose-servers.ts';
import { buildGeneration, nextGeneration } from '../../keyslots/generations.ts';
import { type Quorum, thresholdFor } from '../../keyslots/threshold.ts';
import type { Log } from '../../observe/log.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { AccountHold } from '../node/account-hold.ts';
import type { FencedCause, NodeState } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { DroppedSlot } from '../node/slot-book.ts';
import { type Enrolment, type EnrolmentTools, enrol, shortfall } from '../obtain/enrolment.ts';
import { describeFailure } from '../peer/peer-failure.ts';
import { AttemptPace } from './attempt-pace.ts';
import { DrainNotices } from './drain-notices.ts';
import { KeyErasureQueue } from './key-erasure-queue.ts';
import { MissingKeyFetcher } from './missing-key-fetcher.ts';
import { RepeatedClaims } from './repeated-claims.ts';
import {
  type CheckedSlot,
  checkSlots,
  confirmations,
  hasForgotten,
  isDraining,
  isLive,
  lostSlots,
  newestOf,
  type SlotCheck,
  standingOf,
} from './slot-check.ts';
import { contradicted, SuspectedServers } from './suspected-servers.ts';
import { UnreachableSince } from './unreachable-since.ts';

/** Cap on the doublings of the patience with a server that says again and again that its memory is gone. */
const MAX_FORGETFUL_DOUBLINGS = 3;

type FencedState = Extract<NodeState, { name: 'fenced' }>;

/** Options of healing. */
export interface HealingOptions {
  readonly bootstrap: boolean;
  readonly minimumThreshold: number;
  /** How long a server may be silent before its slot is replaced. */
  readonly patienceMs: number;
  /** First wait after an attempt that brought nothing; doubles. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/** The parts that healing uses. */
export interface HealerParts {
  readonly tools: EnrolmentTools;
  readonly chain: ChainView;
  readonly log: Log;
  readonly options: HealingOptions;
}

/**
 * Keeps n slots of a store alive. Every {@link tick} looks at all slots and at the chain, and does what is missing;
 * it keeps no plan, so the next tick repairs one that failed half way.
 */
export class Healer {
  readonly #parts: HealerParts;
  readonly #node: OpenNode;
  readonly #missingKeys: MissingKeyFetcher;
  readonly #erasures: KeyErasureQueue;
  readonly #hold: AccountHold;
  readonly #pace: AttemptPace;
  readonly #formerPace: AttemptPace;
  readonly #suspected = new SuspectedServers();
  readonly #unreachable = new UnreachableSince();
  readonly #drains: DrainNotices;
  /** Servers that said that their memory is gone. */
  readonly #forgetful: RepeatedClaims;
  #live = 0;
  /** What became of the last attempt that brought fewer than n slots. */
  #shortBecause: string | undefined;
  #fenced: FencedState | undefined;

  constructor(parts: HealerParts, node: OpenNode) {
    const { tools, log, options } = parts;
    this.#parts = parts;
    this.#node = node;
    this.#missingKeys = new MissingKeyFetcher(tools, node, new AttemptPace(tools, options));
    this.#erasures = new KeyErasureQueue({ client: tools.client, log });
    this.#hold = new AccountHold(node);
    this.#pace = new AttemptPace(tools, options);
    this.#formerPace = new AttemptPace(tools, options);
    this.#drains = new DrainNotices(options.patienceMs);
    this.#forgetful = new RepeatedClaims({ ...options, maxDoublings: MAX_FORGETFUL_DOUBLINGS });
  }

  /** One check of all slots and of the chain. Returns the state of the node afterwards. */
  async tick(signal: AbortSignal): Promise<NodeState> {
    if (this.#fenced !== undefined) return this.#fenced;
    const { chain, options } = this.#parts;
    const snapshot = await orAborted(chain.snapshot(), signal);
    await this.#missingKeys.learn(snapshot, signal);
    let check = await this.#hold.settle(() => this.#check(snapshot, signal));
    if (this.#hold.isOvertaken(check)) return this.#fence(check.newerNumber);
    await this.#releaseFormer(snapshot, signal);
    const eligible = eligibleServers(snapshot, { account: this.#node.identity.account });
    const quorum = thresholdFor(eligible.length, options);
    if (quorum === undefined || quorum.t < options.minimumThreshold) {
      return this.#state(check, `the chain shows ${eligible.length} key servers`);
    }
    const isWanted = this.#needsGeneration(check, quorum);
    if (!isWanted && this.#isBacked) this.#pace.relax();
    if (!isWanted || !this.#pace.isDue) {
      return this.#state(check, 'waiting before the next attempt to enrol');
    }
    const made = await this.#makeGeneration(snapshot, quorum, check, signal);
    if (made) check = await this.#check(snapshot, signal);
    if (this.#hold.isOvertaken(check)) return this.#fence(check.newerNumber);
    return this.#state(check, 'too few key servers gave a key');
  }

  /** Something changed for the better: the next tick may try at once. */
  hurry(): void {
    this.#pace.hurry();
  }

  /**
   * Ends all healing after a change of the store key with an unknown outcome: the keyslot file holds a generation of
   * each key, and another change of the file would drop the generation of one of them.
   */
  haltAfterKeyChange(): NodeState {
    this.#parts.log('error', 'store.key-unknown', { own: this.#node.claim.current.number });
    return this.#stopWriting('key-unknown', 'the disk failed while the store key changed; restart the node');
  }

  /** Has the server keys of slots erased that no generation needs. */
  release(dropped: readonly DroppedSlot[], snapshot: ChainSnapshot): void {
    this.#erasures.run(dropped, snapshot);
  }

  /** Wipes the keys that it still holds; not to be used afterwards. */
  wipe(): void {
    this.#erasures.wipe();
  }

  async #check(snapshot: ChainSnapshot, signal: AbortSignal): Promise<SlotCheck> {
    const { tools } = this.#parts;
    const known = { live: this.#live, unknown: this.#missingKeys.unknown };
    const check = await checkSlots(tools.client, this.#node, snapshot, known, signal);
    // The newer instance may depend on the slots that this instance would give up.
    if (this.#hold.isOvertaken(check)) return check;
    this.#erasures.run(await this.#node.book.note(confirmations(check), lostSlots(check)), snapshot);
    this.#live = newestOf(this.#node, check).filter(isLive).length;
    this.#noteSilence(check);
    this.#suspected.clear(check.checked);
    return check;
  }

  /** Only the instance that holds the account may erase slots of its former key: another may still live on them. */
  async #releaseFormer(snapshot: ChainSnapshot, signal: AbortSignal): Promise<void> {
    const { former } = this.#node;
    if (former === undefined || !former.isPending || !this.#hold.holds || !this.#formerPace.isDue) return;
    this.#formerPace.backOff();
    this.#erasures.run(await former.take(this.#parts.tools, snapshot, signal), snapshot);
  }

  #noteSilence({ checked }: SlotCheck): void {
    const { log, tools } = this.#parts;
    const nowMs = tools.clock.nowMs();
    for (const { slot, report } of this.#unreachable.note(checked, nowMs)) {
      const reason =
        typeof report.standing === 'string' ? 'its key is not known yet' : describeFailure(report.standing);
      log('warn', 'slot.lost', { server: encodeSs58(slot.server), reason });
    }
    for (const server of this.#drains.note(checked, nowMs)) {
      log('info', 'server.draining', { server: encodeSs58(server) });
    }
  }

  #needsGeneration(check: SlotCheck, quorum: Quorum): boolean {
    const newest = this.#node.book.newest;
    if (newest === undefined) return true;
    if (newest.t !== quorum.t || newest.n !== quorum.n || newest.slots.length < newest.n) return true;
    const nowMs = this.#parts.tools.clock.nowMs();
    const checked = newestOf(this.#node, check);
    // A liar may cost generations, but a wait must never leave a store without a slot to spare: rolling restarts of
    // its servers within one day would take one slot after the other.
    const canWait = checked.filter(isLive).length > newest.t;
    return checked.some((one) => {
      const { slot, report } = one;
      if (isLive(one)) return isDraining(one) && this.#drains.shouldReplace(slot, nowMs);
      const { standing } = report;
      const kind = typeof standing === 'string' ? undefined : standing.kind;
      const isDoubted = this.#suspected.covers(slot);
      // A server that left the chain, or gave a wrong key, does not come back with the right one.
      if (kind === 'departed' || kind === 'lied') return true;
      if (kind === 'forgot' && !isDoubted) {
        return (
          !canWait || this.#unreachable.lengthMs(slot, nowMs) >= this.#forgetful.waitMs(slot.server, nowMs)
        );
      }
      const factor = isDoubted ? this.#suspected.patienceFactor(slot) : 1;
      return this.#unreachable.lengthMs(slot, nowMs) >= this.#parts.options.patienceMs * factor;
    });
  }

  /** Enrols again; true when a generation was made that is better than the present one. */
  async #makeGeneration(
    snapshot: ChainSnapshot,
    quorum: Quorum,
    check: SlotCheck,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { tools } = this.#parts;
    const nowMs = tools.clock.nowMs();
    const staying = newestOf(this.#node, check).filter((one) => isLive(one) && !isDraining(one));
    const enrolled = staying.map(({ slot }) => slot.server);
    // Fewer servers than this would not be better than what there is; a slot less for each server that drains is not.
    const worthwhile = Math.min(quorum.n, Math.max(quorum.t, this.#live, staying.length + 1));
    const { account } = this.#node.identity;
    const draining = check.checked.filter(isDraining).map(({ slot }) => slot.server);
    // A restarted server keeps its rank the first time; one that gives keys and does not prove them is asked last.
    const unproved = check.checked
      .filter((one) => !isLive(one) && (!hasForgotten(one) || this.#suspected.covers(one.slot)))
      .map(({ slot }) => slot.server);
    const left = snapshot.servers.filter(
      ({ account: server }) => this.#drains.wasLeft(server, nowMs) || this.#forgetful.isLast(server, nowMs),
    );
    const last = [...unproved, ...left.map((server) => server.account)];
    const enrolment = await enrol(tools, {
      account,
      snapshot,
      quorum,
      enrolled,
      last,
      draining,
      worthwhile,
      signal,
    });
    this.#logFailures(enrolment);
    const count = enrolment.servers.length;
    this.#shortBecause = count < quorum.n ? shortfall(enrolment, quorum) : undefined;
    const leaves = newestOf(this.#node, check).filter(isDraining);
    const forgotten = newestOf(this.#node, check).filter(hasForgotten);
    if (signal.aborted || count < worthwhile || this.#isDoubtful(check, enrolment, quorum)) {
      this.#backOff(count, quorum);
      this.#forgetEnrolment(enrolment, snapshot);
      return false;
    }
    await this.#putInFront(enrolment, quorum, check, snapshot);
    const serversOf = (slots: readonly CheckedSlot[]) => slots.map(({ slot }) => slot.server);
    this.#drains.left(serversOf(leaves), tools.clock.nowMs());
    this.#forgetful.replaced(serversOf(forgotten), tools.clock.nowMs());
    return true;
  }

  /** Whether a generation of these servers would answer a "forgot" that is not true. */
  #isDoubtful({ checked }: SlotCheck, { servers }: Enrolment, { n }: Quorum): boolean {
    const fresh = this.#suspected.learn(checked, servers);
    for (const server of fresh) this.#parts.log('warn', 'slot.doubted', { server: encodeSs58(server) });
    return fresh.length > 0 || (servers.length < n && contradicted(checked, servers).length > 0);
  }

  async #putInFront(
    { servers }: Enrolment,
    quorum: Quorum,
    check: SlotCheck,
    snapshot: ChainSnapshot,
  ): Promise<void> {
    const { tools, log } = this.#parts;
    const { identity, book, storeId, storeKey } = this.#node;
    const { account } = identity;
    const number = nextGeneration(book.file);
    const generation = await buildGeneration(
      { account, storeId, storeKey, generation: number, quorum, enrolled: servers },
      tools.random,
    );
    const add = book.add({ account, storeId }, generation, servers, (slot) =>
      standingOf(slot, check, servers),
    );
    const dropped = await add.catch((error: unknown) => {
      // The keys are not forgotten: a failed fsync may still have put the new file into force.
      this.#backOff(servers.length, quorum);
      throw error;
    });
    this.#erasures.run(dropped, snapshot);
    this.#suspected.taken(servers);
    log('info', 'slots.generation', {
      generation: number,
      t: quorum.t,
      n: quorum.n,
      slots: servers.length,
    });
    // Also with n slots: the next check shows whether they are still live.
    this.#backOff(servers.length, quorum);
  }

  #backOff(count: number, { t, n }: Quorum): void {
    this.#pace.backOff();
    if (count < n) this.#parts.log('warn', 'slots.short', { granted: count, t, n });
  }

  get #isBacked(): boolean {
    const { newest, isComplete } = this.#node.book;
    return isComplete && this.#live === newest?.n;
  }

  #state(check: SlotCheck, reason: string): NodeState {
    const newest = this.#node.book.newest;
    const slots = newestOf(this.#node, check).map(({ report }) => report);
    if (newest === undefined) return { name: 'unbacked', reason, slots };
    const { t, n, generation } = newest;
    if (this.#isBacked && !slots.some((report) => isDraining({ report }))) this.#shortBecause = undefined;
    const because = this.#shortBecause === undefined ? {} : { reason: this.#shortBecause };
    const name = this.#isBacked ? 'backed' : 'degraded';
    return { name, live: this.#live, t, n, generation, slots, ...because };
  }

  #fence(number: number): NodeState {
    const reason = `incarnation ${number} of this node has claimed the account`;
    this.#parts.log('error', 'node.fenced', { incarnation: number, own: this.#node.claim.current.number });
    return this.#stopWriting('newer-instance', reason);
  }

  #stopWriting(cause: FencedCause, reason: string): FencedState {
    this.#fenced = { name: 'fenced', cause, reason };
    this.#node.store.fence(reason);
    return this.#fenced;
  }

  #logFailures({ failures }: Enrolment): void {
    for (const { record, failure } of failures.values()) {
      const reason = describeFailure(failure);
      this.#parts.log('warn', 'enrolment.refused', { server: encodeSs58(record.account), reason });
    }
  }

  #forgetEnrolment({ servers }: Enrolment, snapshot: ChainSnapshot): void {
    const { account } = this.#node.identity;
    for (const { recoveryToken } of servers) recoveryToken.wipe();
    this.#erasures.run(
      servers.map(({ server, slotId, key }) => ({ server, account, slotId, key })),
      snapshot,
    );
  }
}
