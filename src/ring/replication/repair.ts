import { toHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import { manyAtOnce } from '../../store/many-at-once.ts';
import { isWritten } from '../placement/configuration.ts';
import type { RingMember } from '../placement/member.ts';
import type { RingViews } from '../placement/views.ts';
import type { MarkStore, RingEntry } from './entry.ts';
import type { HeldRecord, Holdings } from './holdings.ts';
import { type Listed, MAX_RECORDS, type NodeStatus } from './messages.ts';
import type { Peers } from './peers.ts';
import type { SharedRecords } from './shared-records.ts';
import { HEX_DIGITS, idBytes, isNewer } from './sharing.ts';

/** Bytes of records that one round moves at most, both directions together. */
export const MAX_ROUND_BYTES = 16 * 1024 * 1024;
/** Questions in which one round compares records with one member; one that splits for ever must not hold it up. */
export const MAX_QUESTIONS = 1024;

/** Records beyond the bounds that are remembered as unconfirmed. */
const MAX_UNCONFIRMED = 100_000;

/** For how long a round compares with one member, and then again moves records: one that is slow on purpose must not hold up the others. */
export const MAX_TURN_MS = 30_000;

/** Where a member and this node differ. */
interface Difference {
  readonly member: RingMember;
  /** As in {@link Comparison}. */
  readonly isWhole: boolean;
  /** The newest view that the member took part in when it began to answer. */
  readonly adopted: number;
  /** The newest view for which the member is complete. */
  readonly complete: number;
  /** Whether the member has outlived this node. */
  readonly tooOld: boolean;
  /** Orders by id. */
  readonly theirs: ReadonlyMap<string, string>;
  /** Records that the member lacks, or of which it has older ones. */
  readonly owed: readonly string[];
  readonly lacking: readonly string[];
}

/** What both have where their digests differ, and what the member said of itself first. */
interface Comparison {
  readonly theirs: readonly Listed[];
  readonly ours: readonly string[];
  readonly status: NodeStatus;
  /** Whether all prefixes that differ were compared; otherwise the next round goes on. */
  readonly isWhole: boolean;
}

/**
 * Compares the records of this node with those of its neighbours, and moves what differs, both ways. Every round looks
 * at the present state, so a round that fails is made up for by the next one.
 */
export class Repair {
  readonly #account: string;
  readonly #views: RingViews;
  readonly #holdings: Holdings;
  readonly #shared: SharedRecords;
  readonly #peers: Peers;
  readonly #marks: MarkStore;
  readonly #elapsedMs: () => number;
  #complete: number;
  #budget = 0;
  /** When the turn of the present member is over. */
  #turnEndsMs = 0;
  #fresh = false;
  /** Whether every neighbour that is not silent answered in the last round. */
  #heardAll = false;
  #differences: readonly Difference[] = [];
  /** Ids of records beyond the bounds of this node: they are not fetched again before somebody confirms one. */
  readonly #unconfirmed = new Memo<true>(MAX_UNCONFIRMED);
  /** Records that may have been purged elsewhere, by the last round. */
  #forgotten = new Map<string, HeldRecord>();

  constructor(parts: {
    /** This node, lower-case hex. */
    readonly account: string;
    readonly views: RingViews;
    readonly holdings: Holdings;
    readonly shared: SharedRecords;
    readonly peers: Peers;
    readonly marks: MarkStore;
    /** Block of the view for which the records on the disk are complete; -1 for a node that joins. */
    readonly complete: number;
    /** Milliseconds of a clock that nobody turns. */
    readonly elapsedMs: () => number;
  }) {
    this.#account = parts.account;
    this.#views = parts.views;
    this.#holdings = parts.holdings;
    this.#shared = parts.shared;
    this.#peers = parts.peers;
    this.#marks = parts.marks;
    this.#complete = parts.complete;
    this.#elapsedMs = parts.elapsedMs;
  }

  /** Block of the newest view for which this node has all records of its ranges. */
  get complete(): number {
    return this.#complete;
  }

  /** Whether it has asked enough neighbours since its start to know which copies do not count. */
  get isFresh(): boolean {
    return this.#fresh;
  }

  /**
   * One round with all neighbours.
   * @returns whether every neighbour that answered has the same records now.
   * @throws the first failure with a member, after the round with all others.
   */
  async round(): Promise<boolean> {
    this.#budget = MAX_ROUND_BYTES;
    const { current } = this.#views;
    const target = this.#views.next ?? current;
    const differences = await this.#compareAll();
    this.#differences = differences;
    const sources = namesOf(differences.filter(({ adopted }) => adopted >= target.block));
    // All have to be heard before anything is taken from one: its copy may be too old, as the others know.
    if (!this.#fresh && !this.#views.isComplete(sources)) return false;
    this.#fresh = true;
    await this.#stepDown(differences);
    const same: Difference[] = [];
    const failures: unknown[] = [];
    for (const difference of differences) {
      // What one member sends, or what the disk refuses, must not end the round with the others.
      const isSame = await this.#bring(difference, target.block).catch((error: unknown) => {
        failures.push(error);
        return false;
      });
      if (isSame) same.push(difference);
    }
    await this.#dropForgotten(differences);
    await this.#holdings.purge();
    await this.#dropForeign();
    const equal = namesOf(same.filter(({ adopted }) => adopted >= target.block));
    // Another view now: the sources were not asked for the sets that it needs.
    if (this.#views.current === current) this.#noteComplete(equal, target.block);
    if (failures.length > 0) throw failures[0];
    return same.length === differences.length;
  }

  /**
   * Whether the members that stay have all that this node holds, so that it may leave. One that does not answer may lack
   * records, until it counts as silent and others have taken its place.
   */
  async handOver(): Promise<boolean> {
    const before = this.#peers.absent();
    const isEqual = await this.round();
    const isSame = [...this.#peers.absent()].every((account) => before.has(account));
    return isEqual && this.#heardAll && isSame && this.#views.next === undefined;
  }

  async #compareAll(): Promise<readonly Difference[]> {
    const without = this.#peers.absent();
    const differences: Difference[] = [];
    this.#heardAll = true;
    for (const member of this.#views.neighbours(without.size)) {
      const difference = await this.#compare(member, without);
      if (difference !== undefined) differences.push(difference);
      else if (!without.has(toHex(member.account))) this.#heardAll = false;
    }
    return differences;
  }

  async #compare(member: RingMember, without: ReadonlySet<string>): Promise<Difference | undefined> {
    const found = await this.#list(member, [...without]);
    if (found === undefined) return undefined;
    const { theirs, ours, status, isWhole } = found;
    const names = new Map(theirs);
    return {
      member,
      isWhole,
      adopted: status.adopted,
      complete: status.complete,
      tooOld: status.tooOld.includes(this.#account),
      theirs: names,
      owed: ours.filter((id) => isOlder(names.get(id), this.#holdings.find(id))),
      lacking: ours.filter((id) => !names.has(id)),
    };
  }

  /** When nearly all neighbours have outlived this node, it is the one that was away. */
  async #stepDown(differences: readonly Difference[]): Promise<void> {
    if (this.#views.isComplete(namesOf(differences.filter(({ tooOld }) => tooOld))))
      await this.#holdings.resign();
  }

  /** What a member has where it differs from what this node has, below one prefix after another. */
  async #list(member: RingMember, without: readonly string[]): Promise<Comparison | undefined> {
    const records = this.#shared.with(toHex(member.account), without);
    const [theirs, ours]: [Listed[], string[]] = [[], []];
    const prefixes = [''];
    let status: NodeStatus | undefined;
    this.#beginTurn();
    for (let asked = 0; asked < MAX_QUESTIONS && !this.#isTurnOver; asked++) {
      const prefix = prefixes.pop();
      if (prefix === undefined) break;
      const { digest } = records.below(prefix);
      const answer = await this.#peers.askWithStatus(member, { kind: 'compare', prefix, digest, without });
      const reply = answer?.message;
      status ??= answer?.status;
      if (reply?.kind === 'list') {
        theirs.push(...reply.listed);
        for (const { id } of records.below(prefix).records()) ours.push(id);
      } else if (reply?.kind === 'split') {
        const differing = HEX_DIGITS.map((digit) => `${prefix}${digit}`).filter(
          (below, index) => records.below(below).digest !== reply.digests[index],
        );
        prefixes.push(...differing.reverse());
      } else if (reply?.kind !== 'same') return undefined;
    }
    return status === undefined ? undefined : { theirs, ours, status, isWhole: prefixes.length === 0 };
  }

  /** @returns whether the member has nothing that this node lacks, marks included where this node is not complete. */
  async #bring(difference: Difference, block: number): Promise<boolean> {
    if (!(await this.#settle(difference))) return false;
    return this.#complete >= block || this.#takeMarks(difference.member);
  }

  /**
   * Takes the marks of the ids that this node holds, so that a change of the members loses none: those that a write quorum
   * of the old set has are known to each member that is complete.
   */
  async #takeMarks(member: RingMember): Promise<boolean> {
    this.#beginTurn();
    let after = '';
    while (!this.#isTurnOver) {
      const reply = await this.#peers.ask(member, { kind: 'marks', after });
      if (reply?.kind !== 'marks') return false;
      const now = this.#holdings.now();
      const name = toHex(member.account);
      await Promise.all(reply.marks.map((mark) => this.#marks.take(mark, name, now)));
      if (reply.upTo === '') return true;
      after = reply.upTo;
    }
    return false;
  }

  /** Moves what differs, within the budget of the round. @returns whether nothing differs any more. */
  async #settle({ member, isWhole, tooOld, theirs, owed, lacking }: Difference): Promise<boolean> {
    this.#beginTurn();
    const isOld = this.#holdings.isTooOld(toHex(member.account));
    const isWanted = ([id, order]: Listed) => {
      const held = this.#holdings.find(id);
      if (!isNewer(order, held) || (isOld && held === undefined)) return false;
      return this.#unconfirmed.find(id) === undefined || this.#isConfirmed(id, order);
    };
    const wanted = [...theirs].filter(isWanted).map(([id]) => id);
    if (!(await this.#fetch(member, wanted))) return false;
    // What it lacks because it purged it is dropped here first, or this node would bring it back.
    if (!(await this.#push(member, tooOld ? owed.filter((id) => !lacking.includes(id)) : owed))) return false;
    if (!isWhole || (tooOld && lacking.length > 0)) return false;
    return (await this.#peers.ask(member, { kind: 'repaired' }))?.kind === 'done';
  }

  #beginTurn(): void {
    this.#turnEndsMs = this.#elapsedMs() + MAX_TURN_MS;
  }

  get #isTurnOver(): boolean {
    return this.#elapsedMs() >= this.#turnEndsMs;
  }

  async #fetch(member: RingMember, wanted: readonly string[]): Promise<boolean> {
    const left = new Set(wanted);
    while (left.size > 0) {
      if (this.#budget <= 0 || this.#isTurnOver) return false;
      const ids: string[] = [];
      for (const id of left) if (ids.push(id) === MAX_RECORDS) break;
      const reply = await this.#peers.ask(member, { kind: 'fetch', ids });
      if (reply?.kind !== 'records' || reply.records.length === 0) return false;
      const entries = reply.records.map((bytes) => this.#holdings.format.read(bytes));
      // At once, so that the store makes them durable together.
      await Promise.all(entries.map((entry) => this.#keep(entry)));
      const before = left.size;
      for (const { id, bytes } of entries) {
        this.#budget -= bytes.length;
        left.delete(toHex(id));
      }
      // Records that nobody asked for bring the round no nearer to its end.
      if (left.size === before) return false;
    }
    return true;
  }

  async #keep(entry: RingEntry): Promise<void> {
    const [id, order] = [toHex(entry.id), toHex(entry.order)];
    const isConfirmed = this.#isConfirmed(id, order);
    if (!(await this.#holdings.keepCopy(entry, isConfirmed))) this.#unconfirmed.set(id, true);
  }

  /**
   * Whether two members have a record, so that one that lies cannot bring it past the bounds: what was acknowledged is at a
   * write quorum. After a blackout one holder that is left is enough.
   */
  #isConfirmed(id: string, order: string): boolean {
    const holders = this.#views.configurationOf(idBytes(id)).flat();
    const has = this.#differences.filter(({ theirs }) => (theirs.get(id) ?? '') >= order).length;
    const heard = this.#differences.filter(
      ({ member, complete }) =>
        complete >= this.#views.current.block && holders.includes(toHex(member.account)),
    );
    return has >= Math.min(2, heard.length);
  }

  async #push(member: RingMember, owed: readonly string[]): Promise<boolean> {
    for (const id of owed) {
      if (this.#budget <= 0 || this.#isTurnOver) return false;
      const entry = await this.#holdings.copyOf(id);
      if (entry === undefined) continue;
      const reply = await this.#peers.ask(member, { kind: 'push', records: [entry.bytes] });
      if (reply?.kind !== 'done') return false;
      this.#budget -= entry.bytes.length;
    }
    return true;
  }

  /**
   * Drops what was purged while this node was away: some neighbour has outlived it, and a write quorum of complete
   * holders did not have the record in two rounds. What was acknowledged cannot be missing there; what is being written
   * is there by the second round.
   */
  async #dropForgotten(differences: readonly Difference[]): Promise<void> {
    const lacked = new Map<string, Set<string>>();
    if (differences.some(({ tooOld }) => tooOld)) {
      const complete = differences.filter((difference) => difference.complete >= this.#views.current.block);
      for (const { member, lacking } of complete)
        for (const id of lacking) lacked.set(id, (lacked.get(id) ?? new Set()).add(toHex(member.account)));
    }
    const before = this.#forgotten;
    this.#forgotten = new Map();
    for (const [id, accounts] of lacked) {
      const held = this.#holdings.find(id);
      if (held === undefined || !isWritten(this.#views.configurationOf(idBytes(id)), accounts)) continue;
      if (before.get(id) === held) await this.#holdings.drop(held);
      else this.#forgotten.set(id, held);
    }
  }

  /** Drops copies that others keep, when no change is under way. */
  async #dropForeign(): Promise<void> {
    if (this.#views.next !== undefined || this.#complete < this.#views.current.block) return;
    const without = this.#peers.absent();
    await manyAtOnce(this.#shared.foreign(without), async (held) => {
      // Another view may have come in the meantime.
      if (!this.#views.keepersOf(held.id, without).has(this.#account)) await this.#holdings.drop(held);
    });
  }

  #noteComplete(sources: ReadonlySet<string>, block: number): void {
    if (block <= this.#complete || !this.#views.isComplete(sources)) return;
    this.#complete = block;
    this.#views.noteComplete(this.#account, block);
  }
}

const namesOf = (differences: readonly Difference[]): ReadonlySet<string> =>
  new Set(differences.map(({ member }) => toHex(member.account)));

/** Whether what another member lists, or does not list, is older than what is held. */
const isOlder = (order: string | undefined, held: HeldRecord | undefined): boolean =>
  held !== undefined && (order === undefined || toHex(held.order) > order);
