import { compareBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import { type Rate, TokenBuckets } from '../../time/token-buckets.ts';
import { type Configuration, sameConfiguration } from '../placement/configuration.ts';
import type { RingViews } from '../placement/views.ts';
import { MAX_LISTED } from './digest-tree.ts';
import type { KeptMark, MarkStore } from './entry.ts';
import type { Holdings } from './holdings.ts';
import type { FromNode, NodeStatus, RingReply, RingRequest } from './messages.ts';
import type { SharedRecords } from './shared-records.ts';
import { HEX_DIGITS, idBytes, listed } from './sharing.ts';

/** Bytes of records that one answer carries; the asker asks again for the rest. */
export const MAX_ANSWER_BYTES = 1024 * 1024;

/** How often one member may have all records sorted for another list of absent members. */
const SORTS: Rate = { burst: 4, perSecond: 1 / 20 };

const NOT_READY: RingReply = { kind: 'refused', code: 'RING_NOT_READY' };
const BUSY: RingReply = { kind: 'refused', code: 'RING_BUSY' };
const REFUSED: RingReply = { kind: 'refused', code: 'RING_RECORD_REFUSED' };
const NO_HOLDER: RingReply = { kind: 'refused', code: 'RING_OTHER_CONFIGURATION' };

/** One node as the others see it: answers what they ask. */
export class Replica {
  readonly #account: string;
  readonly #views: RingViews;
  readonly #holdings: Holdings;
  readonly #shared: SharedRecords;
  readonly #status: () => NodeStatus;
  readonly #isFresh: () => boolean;
  readonly #marks: MarkStore;
  readonly #noteDraining: (account: string, isDraining: boolean) => void;
  readonly #elapsedMs: () => number;
  readonly #sorts = new TokenBuckets(SORTS);
  readonly #away: () => ReadonlySet<string>;
  /** When members began the repairs that are under way, by account. */
  readonly #began = new Map<string, number>();

  /** @param parts.account this node, lower-case hex. */
  constructor(parts: {
    readonly account: string;
    readonly views: RingViews;
    readonly holdings: Holdings;
    readonly shared: SharedRecords;
    readonly status: () => NodeStatus;
    /** Whether it has asked enough neighbours since its start to know which copies do not count. */
    readonly isFresh: () => boolean;
    readonly marks: MarkStore;
    /** Milliseconds of a clock that nobody turns. */
    readonly elapsedMs: () => number;
    /** Members that this node finds silent or draining, lower-case hex. */
    readonly away: () => ReadonlySet<string>;
    /** A member says whether it drains, lower-case hex. */
    readonly noteDraining: (account: string, isDraining: boolean) => void;
  }) {
    this.#account = parts.account;
    this.#views = parts.views;
    this.#holdings = parts.holdings;
    this.#shared = parts.shared;
    this.#status = parts.status;
    this.#isFresh = parts.isFresh;
    this.#marks = parts.marks;
    this.#away = parts.away;
    this.#elapsedMs = parts.elapsedMs;
    this.#noteDraining = parts.noteDraining;
  }

  /**
   * Answers a request.
   * @param from the member that the channel proves, lower-case hex.
   */
  async answer(from: string, { status, message }: FromNode<RingRequest>): Promise<FromNode<RingReply>> {
    const reply = await this.#reply(from, status, message);
    return { status: this.#status(), message: reply };
  }

  async #reply(from: string, status: NodeStatus, request: RingRequest): Promise<RingReply> {
    if (!this.#views.isMember(from)) return { kind: 'refused', code: 'RING_NOT_MEMBER' };
    this.#views.noteComplete(from, status.complete);
    // Its own ledger is newer than what it said to itself.
    if (from !== this.#account) {
      this.#holdings.noteOutlived(from, status.tooOld);
      // It pushes copies to those that take its place; they would drop them if they did not know why.
      this.#noteDraining(from, status.draining);
    }
    switch (request.kind) {
      case 'store':
        return this.#store(request.configuration, request.bytes);
      case 'read':
        return this.#read(from, request.configuration, request.id);
      case 'mark':
        return this.#mark(from, request);
      case 'marks':
        return this.#keptMarks(from, request.after);
      case 'compare':
        return this.#compare(from, request);
      case 'fetch':
        return this.#fetch(from, request.ids);
      case 'push':
        return this.#isFresh() ? this.#push(from, request.records) : NOT_READY;
      case 'repaired':
        return this.#repaired(from);
    }
  }

  async #store(configuration: Configuration, bytes: Uint8Array): Promise<RingReply> {
    const entry = this.#holdings.format.read(bytes);
    if (!this.#isMine(configuration, entry.id)) return NO_HOLDER;
    const held = await this.#holdings.keep(entry).catch(refusedByBounds);
    if (held === undefined) return REFUSED;
    // The set may have changed during the write, and then others count on this node not to serve the old one.
    if (!this.#isMine(configuration, entry.id)) return NO_HOLDER;
    if (compareBytes(held.order, entry.order) === 0) return { kind: 'stored' };
    const present = await this.#holdings.read(held.id);
    return present === undefined ? NO_HOLDER : { kind: 'superseded', bytes: present.bytes };
  }

  async #read(from: string, configuration: Configuration, id: string): Promise<RingReply> {
    // It would count its own copy, which may have what was deleted and purged while it was away.
    if (from !== this.#account && this.#holdings.isTooOld(from)) return NOT_READY;
    // Each record is a secret, and most members have no part in it.
    if (!this.#views.mayKeep(from, id, this.#away())) return NO_HOLDER;
    // A restored or rolled-back disk may lack what was acknowledged here, so it is no answer until it is repaired.
    if (this.#status().complete < this.#views.current.block) return NOT_READY;
    const entry = await this.#holdings.read(id);
    if (!this.#isMine(configuration, idBytes(id))) return NO_HOLDER;
    return { kind: 'record', bytes: entry?.bytes };
  }

  async #mark(
    from: string,
    { configuration, id, mark, attempt: asked }: Extract<RingRequest, { kind: 'mark' }>,
  ): Promise<RingReply> {
    if (!this.#isMine(configuration, idBytes(id))) return NO_HOLDER;
    const attempt = await this.#marks.claim({ id, mark, attempt: asked }, from, this.#holdings.now());
    // As for a write.
    return this.#isMine(configuration, idBytes(id)) ? { kind: 'marked', attempt } : NO_HOLDER;
  }

  /** Marks of the ids that the asker holds, or will hold when the change that is under way is over. */
  async #keptMarks(from: string, after: string): Promise<RingReply> {
    const { marks, upTo } = await this.#marks.kept(after, this.#holdings.now());
    const isTheirs = ({ id }: KeptMark) => this.#views.configurationOf(idBytes(id)).flat().includes(from);
    return { kind: 'marks', marks: marks.filter(isTheirs), upTo };
  }

  #isMine(configuration: Configuration, id: Uint8Array): boolean {
    const own = this.#views.configurationOf(id);
    return own.flat().includes(this.#account) && sameConfiguration(own, configuration);
  }

  #compare(from: string, request: Extract<RingRequest, { kind: 'compare' }>): RingReply {
    const { prefix, without } = request;
    // To sort all records holds up everything else here; a member that names other absent ones all the time must not.
    if (!this.#shared.isSorted(without) && this.#sorts.take(from, this.#elapsedMs()) > 0) return BUSY;
    if (prefix === '') this.#began.set(from, this.#holdings.now());
    const records = this.#shared.with(from, without).below(prefix);
    if (records.digest === request.digest) return { kind: 'same' };
    if (records.count <= MAX_LISTED) return { kind: 'list', listed: listed(records.records()) };
    return { kind: 'split', digests: HEX_DIGITS.map((digit) => records.below(digit).digest) };
  }

  /** Only what the asker may keep, as for {@link #read}. */
  async #fetch(from: string, ids: readonly string[]): Promise<RingReply> {
    const records: Uint8Array[] = [];
    const away = this.#away();
    let bytes = 0;
    for (const id of ids) {
      if (bytes >= MAX_ANSWER_BYTES) break;
      if (!this.#views.mayKeep(from, id, away)) continue;
      const entry = await this.#holdings.copyOf(id);
      if (entry === undefined) continue;
      records.push(entry.bytes);
      bytes += entry.bytes.length;
    }
    return { kind: 'records', records };
  }

  async #push(from: string, records: readonly Uint8Array[]): Promise<RingReply> {
    for (const bytes of records) {
      const entry = this.#holdings.format.read(bytes);
      const id = toHex(entry.id);
      // A copy that may have missed a purge brings nothing that is not here; what is here it may replace by newer.
      if (this.#holdings.find(id) === undefined && this.#holdings.isTooOld(from)) continue;
      // What is beyond the bounds is fetched in the next round of repair, where other holders confirm it.
      await this.#holdings.keepCopy(entry);
    }
    return { kind: 'done' };
  }

  async #repaired(from: string): Promise<RingReply> {
    const began = this.#began.get(from);
    if (began !== undefined) await this.#holdings.noteRepaired(from, began);
    this.#began.delete(from);
    return { kind: 'done' };
  }
}

/** An answer, and no failure of this node. */
function refusedByBounds(error: unknown): undefined {
  if (error instanceof RefusalError && error.code === 'RING_RECORD_REFUSED') return undefined;
  throw error;
}
