import { equalBytes } from '../../bytes/concat.ts';
import type { SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot, ChainView } from '../../chain/chain-view.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { eligibleServers } from '../../keyslots/choose-servers.ts';
import { type CustodyPolicy, isSplitAmong } from '../../keyslots/custody-parts.ts';
import { buildGeneration, nextGeneration } from '../../keyslots/generations.ts';
import type { Slot } from '../../keyslots/keyslot-file.ts';
import { type Quorum, thresholdFor } from '../../keyslots/threshold.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Log } from '../../observe/log.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { overtakenReason } from '../node/account-hold.ts';
import { bootRecord } from '../node/boot-record.ts';
import type { FencedCause, NodeState, SlotReport } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import {
  type Enrolment,
  type EnrolmentInput,
  type EnrolmentTools,
  enrol,
  shortfall,
} from '../obtain/enrolment.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';
import { AttemptPace } from './attempt-pace.ts';
import { DrainNotices } from './drain-notices.ts';
import { KeyErasure } from './key-erasure.ts';
import { MissingKeyFetcher } from './missing-key-fetcher.ts';
import { RepeatedClaims } from './repeated-claims.ts';
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
  type SlotCheck,
  standingOf,
} from './slot-check.ts';
import { contradicted, SuspectedServers } from './suspected-servers.ts';
import { type HoldTarget, sweepLineage, takeHold } from './take-hold.ts';
import { UnreachableSince } from './unreachable-since.ts';

/** Cap on the doublings of the patience with a server that says again and again that its memory is gone. */
const MAX_FORGETFUL_DOUBLINGS = 3;

const NOT_SHOWN = 'too few key servers have shown the mark of this instance';

/** Whether a store that failed in this way takes nothing more until it is opened again. */
const isPoisoned = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.code === 'STORE_WRITE_FAILED';

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
  /** The custodians that get parts of the store key too. */
  readonly custody?: CustodyPolicy | undefined;
  /** The operator allowed it for this start: open the store although it is older than what the servers remember. */
  readonly acceptRolledBackStore?: boolean;
}

/**
 * Keeps n slots of a store alive. Every {@link tick} looks at all slots and at the chain, and does what is missing;
 * it keeps no plan, so the next tick repairs one that failed half way.
 */
export class Healer {
  readonly #parts: HealerParts;
  readonly #node: OpenNode;
  readonly #missingKeys: MissingKeyFetcher;
  readonly #erasure: KeyErasure;
  readonly #pace: AttemptPace;
  readonly #suspected = new SuspectedServers();
  readonly #unreachable = new UnreachableSince();
  readonly #drains: DrainNotices;
  /** Servers that said that their memory is gone. */
  readonly #forgetful: RepeatedClaims;
  #live = 0;
  readonly #begunAtMs: number;
  /** Whether all servers were asked for the newest head that an operator has accepted to lose. */
  #hasAskedAll = false;
  /** What became of the last attempt that brought fewer than n slots. */
  #shortBecause: string | undefined;
  #fenced: FencedState | undefined;
  #overtakenBefore: Incarnation | undefined;

  constructor(parts: HealerParts, node: OpenNode) {
    const { tools, log, options } = parts;
    this.#parts = parts;
    this.#node = node;
    this.#begunAtMs = tools.clock.nowMs();
    this.#missingKeys = new MissingKeyFetcher(tools, node, new AttemptPace(tools, options));
    this.#erasure = new KeyErasure({ ...tools, log, onOvertaken: (by) => this.#noteFormer(by) }, node);
    this.#pace = new AttemptPace(tools, options);
    this.#drains = new DrainNotices(options.patienceMs);
    this.#forgetful = new RepeatedClaims({ ...options, maxDoublings: MAX_FORGETFUL_DOUBLINGS });
  }

  /**
   * One check of all slots and of the chain; before this instance holds its account, one attempt to take hold of it.
   * Returns the state of the node afterwards.
   */
  async tick(signal: AbortSignal): Promise<NodeState> {
    if (this.#fenced !== undefined) return this.#fenced;
    // Before the chain is read: a host that withholds it must not keep an older instance writing.
    if (this.#isOvertaken) return this.#fence();
    const { chain } = this.#parts;
    const snapshot = await orAborted(chain.snapshot(), signal);
    // First by the slots that opened the store alone: a server that hangs must not hold up a boot.
    const { hold } = this.#node;
    if (!hold.holds && (await this.#holdBySlots(snapshot, signal))) return await this.#begin();
    await this.#missingKeys.learn(snapshot, signal);
    if (!hold.holds) {
      return (await this.#takeHold(snapshot, signal)) ? await this.#begin() : this.#unclaimed(NOT_SHOWN);
    }
    const begun = this.#mayWrite ? undefined : await this.#begin();
    if (begun !== undefined && this.#mayWrite) return begun;
    let check = await this.#check(snapshot, signal);
    if (this.#isOvertaken) return this.#fence();
    this.#erasure.run(snapshot, this.#shownBy(check), signal);
    const quorum = this.#quorumOf(snapshot);
    if (quorum === undefined) return this.#state(check, this.#tooFewServers(snapshot));
    const isWanted = this.#needsGeneration(check, quorum);
    if (!isWanted && this.#isBacked) this.#pace.relax();
    if (!isWanted || !this.#pace.isDue) {
      return this.#state(check, 'waiting before the next attempt to enrol');
    }
    const made = await this.#makeGeneration(snapshot, quorum, check, signal);
    if (made) check = await this.#check(snapshot, signal);
    if (this.#isOvertaken) return this.#fence();
    return this.#state(check, 'too few key servers gave a key');
  }

  /** Whether this instance has written that it holds the account, so that it may write anything else. */
  get #mayWrite(): boolean {
    return this.#node.hold.holds && this.#node.store.isReleased;
  }

  get #isOvertaken(): boolean {
    return this.#newerInstance !== undefined;
  }

  get #newerInstance(): Incarnation | undefined {
    return this.#node.hold.overtakenBy ?? this.#overtakenBefore;
  }

  /** A newer instance under the lineage of a former store key, which this node did not know when it changed the key. */
  #noteFormer(by: Incarnation): void {
    if (this.#parts.acceptRolledBackStore) return;
    this.#overtakenBefore = by;
    this.#node.store.fence(overtakenReason(by));
  }

  /** The quorum of a new generation; `undefined` while the chain shows too few servers. */
  #quorumOf(snapshot: ChainSnapshot): Quorum | undefined {
    const { options } = this.#parts;
    const quorum = thresholdFor(this.#eligible(snapshot), options);
    return quorum === undefined || quorum.t < options.minimumThreshold ? undefined : quorum;
  }

  #eligible(snapshot: ChainSnapshot): number {
    return eligibleServers(snapshot, { account: this.#node.identity.account }).length;
  }

  #tooFewServers(snapshot: ChainSnapshot): string {
    return `the chain shows ${this.#eligible(snapshot)} key servers`;
  }

  /**
   * Takes hold of the account by the slots of the keyslot file or, when fewer than t of every generation are left, by
   * those of a new one.
   */
  async #takeHold(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    return (await this.#holdBySlots(snapshot, signal)) || (await this.#holdByNewSlots(snapshot, signal));
  }

  /** Takes hold by the slots of the keyslot file with known keys. */
  async #holdBySlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    const { hold, rollback, book } = this.#node;
    const { client } = this.#parts.tools;
    if ((rollback?.acceptsOlder || this.#node.byCustodians) && !this.#hasAskedAll) {
      // No server gave its key, so none has shown the newest head yet. With an accepted older store: else the one server that has the newest head would refuse the store again and again.
      await sweepLineage(this.#parts.tools, this.#node, snapshot, signal);
      this.#hasAskedAll = true;
    }
    if (!hold.holds) {
      const generations = book.file?.generations ?? [];
      const thresholds = new Map(generations.map(({ generation, t }) => [generation, t]));
      const targets = this.#holdTargets(snapshot);
      await takeHold(client, hold, { targets, thresholds }, signal);
    }
    return hold.holds;
  }

  #holdTargets({ servers }: ChainSnapshot): readonly HoldTarget[] {
    const { book, identity } = this.#node;
    return book.slots().flatMap(({ generation, slot: { server, slotId } }) => {
      const peer = servers.find(({ account }) => equalBytes(account, server));
      const key = book.keyOf(slotId);
      if (peer === undefined || key === undefined) return [];
      return [{ peer, held: { account: identity.account, slotId, key }, generation: generation.generation }];
    });
  }

  /**
   * Writes the first record of this boot: what it writes from here on belongs to it. Where the disk does not take it,
   * healing goes on without: the slots of the store must not depend on it.
   * @throws EvidenceError STORE_ROLLED_BACK, ProblemError NODE_FENCED; and the store's error once enough slots live to
   *   open the store again.
   */
  async #begin(): Promise<NodeState> {
    const { hold, sealed, store, book } = this.#node;
    hold.requireCurrent();
    try {
      await sealed.batch([bootRecord(hold.incarnation)]);
    } catch (error) {
      if (this.#live >= (book.newest?.t ?? 1) && isPoisoned(error)) throw error;
      return this.#unclaimed(`the first record was not written: ${String(error)}`);
    }
    hold.begin();
    store.release();
    this.#parts.log('info', 'node.holds', { incarnation: hold.incarnation.number });
    return this.#opened();
  }

  /**
   * The slots that opened the store may be lost before this boot holds. Only what is proved counts: a server that is
   * silent may serve another instance.
   */
  async #holdByNewSlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    const { book, hold, identity } = this.#node;
    const { tools } = this.#parts;
    const quorum = this.#quorumOf(snapshot);
    if (quorum === undefined || !this.#pace.isDue) return false;
    const lost = await this.#lostSlots(snapshot, signal);
    const mayAnswer = (book.file?.generations ?? []).some(
      ({ slots, t }) => slots.filter(({ slotId }) => !lost.has(toHex(slotId))).length >= t,
    );
    if (mayAnswer) return false;
    this.#parts.log('warn', 'node.slots-lost', { lost: lost.size });
    await sweepLineage(tools, this.#node, snapshot, signal);
    hold.requireCurrent();
    const { servers } = snapshot;
    const enrolment = await this.#enrol(snapshot, quorum, { enrolled: [], last: [], draining: [] }, signal);
    const slots = enrolment.servers.flatMap(({ server, slotId, key }) => {
      const peer = servers.find(({ account }) => equalBytes(account, server));
      return peer === undefined
        ? []
        : [{ peer, held: { account: identity.account, slotId, key }, generation: 0 }];
    });
    const thresholds = new Map([[0, quorum.t]]);
    const isHeld =
      slots.length >= quorum.t &&
      (await takeHold(tools.client, hold, { targets: slots, thresholds }, signal));
    if (!isHeld) {
      this.#backOff(enrolment.servers.length, quorum);
      this.#forgetEnrolment(enrolment, snapshot);
      return false;
    }
    // First the keyslot file: no other slots open the store any more.
    await this.#putInFront(enrolment, quorum, { checked: [] });
    return true;
  }

  /** Slots that are proved to be lost: by another process of their server, an answer under the lineage key, or the chain. */
  async #lostSlots(snapshot: ChainSnapshot, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { book, hold, identity } = this.#node;
    const { client, vetter } = this.#parts.tools;
    const lost = new Set<string>();
    const look = async ({ server, slotId, instanceId }: Slot): Promise<void> => {
      const record = snapshot.servers.find(({ account }) => equalBytes(account, server));
      const lineage =
        record === undefined ? undefined : await askLineage(client, hold, record, identity.account, signal);
      const isGone =
        record === undefined ||
        (lineage === undefined
          ? this.#mayPassOverSilent ||
            (await vetter.instanceOf(record, snapshot, signal).then(
              (present) => !equalBytes(present, instanceId),
              () => false,
            ))
          : !lineage.slots.some((one) => equalBytes(one, slotId)));
      if (isGone) lost.add(toHex(slotId));
    };
    await Promise.all(book.slots().map(({ slot }) => look(slot)));
    return lost;
  }

  /** Custodians were asked because the servers are gone: silence beyond patience is enough then. */
  get #mayPassOverSilent(): boolean {
    const { tools, options } = this.#parts;
    return this.#node.byCustodians && tools.clock.nowMs() - this.#begunAtMs >= options.patienceMs;
  }

  #unclaimed(reason: string): NodeState {
    return { ...this.#opened(), name: 'unclaimed', reason };
  }

  #opened(): Extract<NodeState, { name: 'open' }> {
    const slots = this.#node.book.slots().map(({ slot: { server, slotId } }): SlotReport => {
      const standing = this.#missingKeys.unknown.get(toHex(slotId)) ?? 'asked';
      return { server, endpoint: undefined, standing };
    });
    return { name: 'open', slots };
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
    this.#parts.log('error', 'store.key-unknown', { own: this.#node.hold.incarnation.number });
    return this.#stopWriting('key-unknown', 'the disk failed while the store key changed; restart the node');
  }

  async #check(snapshot: ChainSnapshot, signal: AbortSignal): Promise<SlotCheck> {
    const { tools } = this.#parts;
    const known = { live: this.#live, unknown: this.#missingKeys.unknown };
    const check = await checkSlots(tools.client, this.#node, snapshot, known, signal);
    // The newer instance may depend on the slots that this instance would give up.
    if (this.#isOvertaken) return check;
    const isNoted = await this.#node.book.note(confirmations(check), lostSlots(check));
    if (!isNoted) this.#parts.log('warn', 'slots.older-kept', {});
    this.#live = newestOf(this.#node, check).filter(isLive).length;
    this.#noteSilence(check);
    this.#suspected.clear(check.checked);
    return check;
  }

  /** Slots of the lineage that the servers of the keyslot file show; none before the own n slots live. */
  #shownBy({ checked }: SlotCheck): ReadonlyMap<string, readonly SlotId[]> {
    if (!this.#isBacked) return new Map();
    return new Map(checked.map(({ slot, shown }) => [toHex(slot.server), shown] as const));
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
    if (!isSplitAmong(newest.custody, this.#parts.custody?.set)) return true;
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
    // Another instance may live at servers that this one does not know.
    if (this.#live < (this.#node.book.newest?.t ?? 1)) {
      await sweepLineage(tools, this.#node, snapshot, signal);
      if (this.#isOvertaken) return false;
    }
    // Fewer servers than this would not be better than what there is; a slot less for each server that drains is not.
    const worthwhile = Math.min(quorum.n, Math.max(quorum.t, this.#live, staying.length + 1));
    const draining = check.checked.filter(isDraining).map(({ slot }) => slot.server);
    // A restarted server keeps its rank the first time; one that gives keys and does not prove them is asked last.
    const unproved = check.checked
      .filter((one) => !isLive(one) && (!hasForgotten(one) || this.#suspected.covers(one.slot)))
      .map(({ slot }) => slot.server);
    const left = snapshot.servers.filter(
      ({ account: server }) => this.#drains.wasLeft(server, nowMs) || this.#forgetful.isLast(server, nowMs),
    );
    const last = [...unproved, ...left.map((server) => server.account)];
    const enrolment = await this.#enrol(snapshot, quorum, { enrolled, last, draining, worthwhile }, signal);
    if (this.#isOvertaken) {
      this.#forgetEnrolment(enrolment, snapshot);
      return false;
    }
    const count = enrolment.servers.length;
    this.#shortBecause = count < quorum.n ? shortfall(enrolment, quorum) : undefined;
    const leaves = newestOf(this.#node, check).filter(isDraining);
    const forgotten = newestOf(this.#node, check).filter(hasForgotten);
    const isDoubtful = this.#isDoubtful(check, enrolment, quorum);
    if (signal.aborted || count < worthwhile || isDoubtful) {
      this.#backOff(count, quorum);
      this.#forgetEnrolment(enrolment, snapshot);
      return false;
    }
    await this.#putInFront(enrolment, quorum, check);
    const serversOf = (slots: readonly CheckedSlot[]) => slots.map(({ slot }) => slot.server);
    this.#drains.left(serversOf(leaves), tools.clock.nowMs());
    this.#forgetful.replaced(serversOf(forgotten), tools.clock.nowMs());
    return true;
  }

  /** Asks for new slots and links them: with the mark of this boot if it holds, else with the newest one that there is. */
  async #enrol(
    snapshot: ChainSnapshot,
    quorum: Quorum,
    rest: Pick<EnrolmentInput, 'enrolled' | 'last' | 'draining'> & { readonly worthwhile?: number },
    signal: AbortSignal,
  ): Promise<Enrolment> {
    const { hold, store, identity } = this.#node;
    const enrolment = await enrol(this.#parts.tools, {
      worthwhile: quorum.t,
      ...rest,
      account: identity.account,
      snapshot,
      quorum,
      link: {
        lineage: hold.lineage,
        incarnation: hold.holds ? hold.incarnation : hold.newest,
        head: () => hold.headOf(store.head()),
        onState: ({ lineage }) => hold.observe(lineage),
      },
      signal,
    });
    this.#logFailures(enrolment);
    for (const { server, slotId } of enrolment.unlinked) this.#erasure.abandon(server, slotId);
    try {
      if (!hold.holds) hold.requireCurrent();
    } catch (error) {
      this.#forgetEnrolment(enrolment, snapshot);
      throw error;
    }
    return enrolment;
  }

  /** Whether a generation of these servers would answer a "forgot" that is not true. */
  #isDoubtful({ checked }: SlotCheck, { servers, unlinked }: Enrolment, { n }: Quorum): boolean {
    const granted = [...servers, ...unlinked];
    const fresh = this.#suspected.learn(checked, granted);
    for (const server of fresh) this.#parts.log('warn', 'slot.doubted', { server: encodeSs58(server) });
    return fresh.length > 0 || (servers.length < n && contradicted(checked, granted).length > 0);
  }

  async #putInFront({ servers }: Enrolment, quorum: Quorum, check: SlotCheck): Promise<void> {
    const { tools, log } = this.#parts;
    const { identity, book, storeId, storeKey, hold, older } = this.#node;
    const { account } = identity;
    // The host may have put back an older keyslot file; a number is never used twice.
    const left = older.generations.map(({ generation }) => generation + 1);
    const number = Math.max(nextGeneration(book.file), ...left);
    const generation = await buildGeneration(
      {
        account,
        storeId,
        storeKey,
        lineageSecret: hold.lineage.secret,
        generation: number,
        quorum,
        enrolled: servers,
        custody: this.#parts.custody,
        formerCustody: book.newest?.custody,
      },
      tools.random,
    );
    const add = book.add({ account, storeId }, generation, servers, (slot) =>
      standingOf(slot, check, servers),
    );
    await add.catch((error: unknown) => {
      // The keys are not forgotten: a failed fsync may still have put the new file into force.
      this.#backOff(servers.length, quorum);
      throw error;
    });
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
    if (!this.#mayWrite) return { name: 'unclaimed', reason: 'the first record was not written', slots };
    if (newest === undefined) return { name: 'unbacked', reason, slots };
    const { t, n, generation } = newest;
    if (this.#isBacked && !slots.some((report) => isDraining({ report }))) this.#shortBecause = undefined;
    const because = this.#shortBecause === undefined ? {} : { reason: this.#shortBecause };
    const name = this.#isBacked ? 'backed' : 'degraded';
    return { name, live: this.#live, t, n, generation, slots, ...because };
  }

  /** Ends all writing of an instance that serves already: servers remember a newer store than the one on this disk. */
  refuseDisk(reason: string): NodeState {
    return this.#stopWriting('older-disk', reason);
  }

  #fence(): NodeState {
    const number = this.#newerInstance?.number ?? 0;
    const own = this.#node.hold.incarnation.number;
    this.#parts.log('error', 'node.fenced', { incarnation: number, own });
    return this.#stopWriting(
      'newer-instance',
      overtakenReason(this.#newerInstance ?? this.#node.hold.incarnation),
    );
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

  /** Has the keys of slots erased that no generation will have; what is not reached is no one's, and ages away. */
  #forgetEnrolment({ servers }: Enrolment, snapshot: ChainSnapshot): void {
    const { hold, identity } = this.#node;
    const { client } = this.#parts.tools;
    for (const { server, slotId, key, recoveryToken } of servers) {
      recoveryToken.wipe();
      this.#erasure.abandon(server, slotId);
      const record = snapshot.servers.find(({ account }) => equalBytes(account, server));
      if (record === undefined) continue;
      const incarnation = hold.holds ? hold.incarnation : hold.newest;
      client
        .forget(record, { account: identity.account, slotId, key }, incarnation)
        .catch((error: unknown) => {
          const reason = describeFailure(failureOf(error));
          this.#parts.log('debug', 'slot.not-forgotten', { server: encodeSs58(server), reason });
        })
        .finally(() => key.wipe());
    }
  }
}
