import type { PlatformHash, SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot, ChainView } from '../../chain/chain-view.ts';
import type { CustodyPolicy } from '../../keyslots/custody-parts.ts';
import type { Quorum } from '../../keyslots/threshold.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Log } from '../../observe/log.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { overtakenReason } from '../node/account-hold.ts';
import type { FencedCause, NodeState, SlotReport } from '../node/node-state.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { RollbackAcceptance } from '../node/rollback-acceptance.ts';
import { type EnrolmentTools, shortfall } from '../obtain/enrolment.ts';
import { presentProcessBy } from '../obtain/present-process.ts';
import { AttemptPace } from './attempt-pace.ts';
import { GenerationMaker } from './generation-maker.ts';
import { GenerationNeed } from './generation-need.ts';
import { Holder } from './holder.ts';
import { KeyErasure, type ShownSlots } from './key-erasure.ts';
import { MissingKeyFetcher } from './missing-key-fetcher.ts';
import { Renewal } from './renewal.ts';
import {
  checkSlots,
  confirmations,
  isDraining,
  isLive,
  lostSlots,
  newestOf,
  renewAtOlder,
  type SlotCheck,
  withoutRefusedPlatforms,
} from './slot-check.ts';
import { SuspectedServers } from './suspected-servers.ts';
import { sweepLineage } from './take-hold.ts';

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
  /** How old a healthy generation becomes before it is replaced; `undefined`: only events replace one. */
  readonly renewEveryMs?: number | undefined;
}

/** The parts that healing uses. */
export interface HealerParts {
  readonly tools: EnrolmentTools;
  readonly chain: ChainView;
  readonly log: Log;
  readonly options: HealingOptions;
  /** The custodians that get parts of the store key too. */
  readonly custody?: CustodyPolicy | undefined;
  /** What an operator decided about a store that is older than what the servers remember. */
  readonly acceptance: RollbackAcceptance;
  /** The platform of this machine, to notice slots that are bound to another one. */
  readonly ownPlatform?: PlatformHash | undefined;
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
  readonly #maker: GenerationMaker;
  readonly #holder: Holder;
  readonly #need: GenerationNeed;
  readonly #renewal: Renewal;
  #live = 0;
  /** What became of the last attempt that brought fewer than n slots. */
  #shortBecause: string | undefined;
  #fenced: FencedState | undefined;
  #overtakenBefore: Incarnation | undefined;
  /** Why this boot, which holds, has not written its first record yet. */
  #notBegun: string | undefined;

  constructor(parts: HealerParts, node: OpenNode) {
    const { tools, log, options, custody } = parts;
    this.#parts = parts;
    this.#node = node;
    this.#missingKeys = new MissingKeyFetcher(tools, node, new AttemptPace(tools, options));
    const presentProcess = presentProcessBy(tools);
    this.#erasure = new KeyErasure(
      { ...tools, presentProcess, log, options, onOvertaken: (by, lineage) => this.#noteFormer(by, lineage) },
      node,
    );
    this.#pace = new AttemptPace(tools, options);
    const pace = this.#pace;
    const suspected = new SuspectedServers();
    this.#need = new GenerationNeed({ ...options, ...tools, log, custody, suspected }, node);
    const { renewEveryMs } = options;
    this.#renewal = new Renewal({ clock: tools.clock, log, renewEveryMs }, node.store);
    const making = { tools, log, options, custody, pace, erasure: this.#erasure, suspected };
    this.#maker = new GenerationMaker(making, node);
    this.#holder = new Holder({ tools, presentProcess, log, options, maker: this.#maker, pace }, node);
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
    if (!hold.holds && (await this.#holder.bySlots(snapshot, signal))) return await this.#begin();
    await this.#missingKeys.learn(snapshot, signal);
    if (!hold.holds) {
      return (await this.#takeHold(snapshot, signal))
        ? await this.#begin()
        : this.#unclaimed(this.#holder.failures.reason);
    }
    let check = await this.#check(snapshot, signal);
    if (this.#isOvertaken) return this.#fence();
    this.#notBegun = undefined;
    const begun = this.#mayWrite ? undefined : await this.#begin();
    if (begun !== undefined && this.#mayWrite) return begun;
    this.#erasure.run(snapshot, this.#shownBy(check), signal);
    const quorum = this.#maker.quorumOf(snapshot);
    if (quorum === undefined)
      return this.#state(check, `the chain shows ${this.#maker.eligible(snapshot)} key servers`);
    const isNeeded = this.#need.isNeeded(check, quorum);
    if (!isNeeded && this.#isBacked) this.#pace.relax();
    const isRenewal = !isNeeded && (await this.#isRenewalDue(check));
    if (!(isNeeded || isRenewal) || !this.#pace.isDue) {
      return this.#state(check, 'waiting before the next attempt to enrol');
    }
    if (isRenewal) this.#renewal.begins();
    const made = await this.#makeGeneration(snapshot, quorum, { check, isRenewal }, signal);
    if (isRenewal && !made) this.#renewal.failed(this.#shortBecause ?? 'the new generation was not complete');
    if (made) check = await this.#check(snapshot, signal);
    if (this.#isOvertaken) return this.#fence();
    // At once: until the former slots are erased, an older copy of the disk opens by them.
    if (made) this.#erasure.run(snapshot, this.#shownBy(check), signal);
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

  /**
   * A newer instance under the lineage of a former store key, which this node did not know when it changed the key.
   * Returns whether the operator accepted that what it wrote is lost.
   */
  #noteFormer(by: Incarnation, lineage: string): boolean {
    if (this.#parts.acceptance.coversFormer(lineage, by)) return true;
    this.#overtakenBefore = by;
    this.#node.store.fence(overtakenReason(by));
    return false;
  }

  /** By the slots of the keyslot file or, when fewer than t of every generation are left, by new ones. */
  async #takeHold(snapshot: ChainSnapshot, signal: AbortSignal): Promise<boolean> {
    return (
      (await this.#holder.bySlots(snapshot, signal)) || (await this.#holder.byNewSlots(snapshot, signal))
    );
  }

  async #begin(): Promise<NodeState> {
    this.#notBegun = await this.#holder.begin(this.#live);
    return this.#notBegun === undefined ? this.#opened() : this.#unclaimed(this.#notBegun);
  }

  #unclaimed(reason: string): NodeState {
    return { ...this.#opened(), name: 'unclaimed', reason };
  }

  #opened(): Extract<NodeState, { name: 'open' }> {
    const slots = this.#node.book.slots().map(({ slot: { server, slotId } }): SlotReport => {
      const failure = this.#missingKeys.unknown.get(toHex(slotId)) ?? this.#holder.failures.of(slotId);
      const standing = failure ?? 'asked';
      return { server, endpoint: undefined, standing };
    });
    return { name: 'open', quorum: this.#quorum, slots };
  }

  /** Something changed for the better: the next tick may try at once. */
  hurry(): void {
    this.#pace.hurry();
    this.#holder.hurry();
  }

  /** How long this boot waits for the lease of an earlier instance, in milliseconds; 0 when it does not. */
  get leaseWaitMs(): number {
    return this.#holder.leaseWaitMs;
  }

  /** Whether the store may be closed: by what servers prove now, it can be opened again. Not while the chain is away. */
  async mayClose(signal: AbortSignal): Promise<boolean> {
    try {
      const snapshot = await orAborted(this.#parts.chain.snapshot(), signal);
      return await this.#holder.mayClose(snapshot, signal);
    } catch {
      return signal.aborted;
    }
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
    const { ownPlatform } = this.#parts;
    const known = { live: this.#live, unknown: this.#missingKeys.unknown, ownPlatform };
    const [all] = await Promise.all([
      checkSlots(tools.client, this.#node, snapshot, known, signal),
      renewAtOlder(tools.client, this.#node, snapshot, signal),
    ]);
    const check = withoutRefusedPlatforms(all, snapshot, (record) => tools.vetter.platformRefusal(record));
    // The newer instance may depend on the slots that this instance would give up.
    if (this.#isOvertaken) return check;
    const isNoted = await this.#node.book.note(confirmations(check), lostSlots(check));
    if (!isNoted) this.#parts.log('warn', 'slots.older-kept', {});
    this.#live = newestOf(this.#node, check).filter(isLive).length;
    this.#need.note(check);
    return check;
  }

  /** Slots of the lineage that the servers of the keyslot file show; none before t own slots live. */
  #shownBy({ checked }: SlotCheck): ShownSlots {
    const isEnough = this.#live >= (this.#node.book.newest?.t ?? Number.POSITIVE_INFINITY);
    const byServer = new Map<string, readonly SlotId[]>();
    for (const { slot, shown } of isEnough ? checked : []) {
      const name = toHex(slot.server);
      // A server may have slots of two generations, and not answer for both.
      byServer.set(name, [...(byServer.get(name) ?? []), ...shown]);
    }
    return { byServer, isBacked: this.#isBacked };
  }

  /** Whether the newest generation is old, and its n servers all live and stay, so that they can give new keys. */
  async #isRenewalDue(check: SlotCheck): Promise<boolean> {
    const { newest } = this.#node.book;
    if (newest === undefined || !this.#mayWrite) return false;
    const isDue = await this.#renewal.isDue(newest.generation);
    return isDue && this.#isBacked && newestOf(this.#node, check).every((one) => !isDraining(one));
  }

  /** Enrols again; true when a generation was made that is better than the present one. */
  async #makeGeneration(
    snapshot: ChainSnapshot,
    quorum: Quorum,
    { check, isRenewal }: { readonly check: SlotCheck; readonly isRenewal: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { tools } = this.#parts;
    // Another instance may live at servers that this one does not know.
    const hasLost = this.#live < (this.#node.book.newest?.t ?? 1);
    if (hasLost) await sweepLineage(tools, this.#node, snapshot, signal);
    if (this.#isOvertaken) return false;
    const needed = this.#need.wish(check, snapshot, quorum, this.#live);
    // A healthy generation is replaced by a complete one only.
    const wish = isRenewal ? { ...needed, worthwhile: quorum.n } : needed;
    const enrolment = await this.#maker.enrol(snapshot, quorum, wish, signal);
    // The servers that were silent before may answer since.
    if (hasLost) await sweepLineage(tools, this.#node, snapshot, signal);
    if (this.#isOvertaken) {
      this.#maker.forget(enrolment, snapshot);
      return false;
    }
    const count = enrolment.servers.length;
    this.#shortBecause = count < quorum.n ? shortfall(enrolment, quorum) : undefined;
    const former = newestOf(this.#node, check);
    const isDoubtful = this.#need.isDoubtful(check, enrolment, quorum);
    if (signal.aborted || count < wish.worthwhile || isDoubtful) {
      this.#maker.backOff(count, quorum);
      this.#maker.forget(enrolment, snapshot);
      return false;
    }
    await this.#maker.putInFront(enrolment, quorum, check);
    this.#need.replaced(former);
    return true;
  }

  get #quorum(): Quorum | undefined {
    const { newest } = this.#node.book;
    return newest && { t: newest.t, n: newest.n };
  }

  get #isBacked(): boolean {
    const { newest, isComplete } = this.#node.book;
    return isComplete && this.#live === newest?.n;
  }

  #state(check: SlotCheck, reason: string): NodeState {
    const newest = this.#node.book.newest;
    const slots = newestOf(this.#node, check).map(({ report }) => report);
    const notWriting = this.#notBegun ?? this.#node.store.lease?.notRenewed;
    if (notWriting !== undefined)
      return { name: 'unclaimed', reason: notWriting, quorum: this.#quorum, slots };
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
    this.#fenced = { name: 'fenced', cause, reason, quorum: this.#quorum };
    this.#node.store.fence(reason);
    return this.#fenced;
  }
}
