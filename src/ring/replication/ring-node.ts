import { toHex } from '../../bytes/hex.ts';
import type { RingMember } from '../placement/member.ts';
import { type RingView, RingViews } from '../placement/views.ts';
import { Coordinator, type Written } from './coordinator.ts';
import type { MarkStore, RecordBounds, RecordFormat, ReplicaStore, RingEntry } from './entry.ts';
import { Holdings } from './holdings.ts';
import type { FromNode, NodeStatus, RingReply, RingRequest, RingTransport } from './messages.ts';
import { Peers } from './peers.ts';
import { Repair } from './repair.ts';
import { Replica } from './replica.ts';
import { SharedRecords } from './shared-records.ts';

/** What a node of the ring is made of. */
export interface RingNodeParts {
  readonly own: RingMember;
  /** The view by which the node served before its last stop; for a new one, the view that its neighbours serve by. */
  readonly view: RingView;
  /** Block of the view for which the records in the store are complete; -1 for a new node and for a restored store. */
  readonly complete: number;
  readonly format: RecordFormat;
  readonly store: ReplicaStore;
  /** Without it every record has room. */
  readonly isWithinBounds?: RecordBounds | undefined;
  readonly marks: MarkStore;
  readonly transport: RingTransport;
  /** Milliseconds of a clock that nobody turns; without it, that of the process. */
  readonly elapsedMs?: () => number;
}

/** One node of the ring: holds records, answers the others, repairs, and reads and writes for its callers. */
export class RingNode {
  readonly #views: RingViews;
  readonly #holdings: Holdings;
  readonly #replica: Replica;
  readonly #peers: Peers;
  readonly #coordinator: Coordinator;
  readonly #repair: Repair;
  #newestMs: number;
  #draining = false;

  private constructor(
    { own, view, complete, transport, marks, elapsedMs = () => performance.now() }: RingNodeParts,
    views: RingViews,
    holdings: Holdings,
  ) {
    const account = toHex(own.account);
    const status = (): NodeStatus => this.status();
    this.#views = views;
    this.#holdings = holdings;
    this.#newestMs = view.timestampMs;
    const isFresh = (): boolean => this.#repair.isFresh;
    const shared = new SharedRecords({ account, views, holdings });
    const noteDraining = (from: string, isDraining: boolean): void =>
      this.#peers.noteDraining(from, isDraining);
    const away = (): ReadonlySet<string> => this.#peers.absent();
    const asked = { account, views, holdings, shared, status, isFresh, marks, away, elapsedMs, noteDraining };
    this.#replica = new Replica(asked);
    const parts = { account, views, transport, holdings, replica: this.#replica, status, isFresh };
    this.#peers = new Peers(parts);
    this.#coordinator = new Coordinator({ account, views, holdings, peers: this.#peers });
    const repaired = { account, views, holdings, shared, marks, complete, elapsedMs };
    this.#repair = new Repair({ ...repaired, peers: this.#peers });
    views.noteComplete(account, complete);
  }

  /** Reads the index of the store. @throws LatchkeyError of the format when a stored record is damaged. */
  static async open(parts: RingNodeParts): Promise<RingNode> {
    const views = new RingViews(parts.own, parts.view);
    // The node is made of the holdings, which take the time from its views.
    const clock: { node?: RingNode } = {};
    const now = () => clock.node?.newestMs ?? parts.view.timestampMs;
    const holdings = await Holdings.open({ ...parts, now });
    const node = new RingNode(parts, views, holdings);
    clock.node = node;
    return node;
  }

  /** Time of the newest view, in milliseconds. */
  get newestMs(): number {
    return this.#newestMs;
  }

  /** The view by which the node serves; kept for the next start, with {@link status}. */
  get view(): RingView {
    return this.#views.current;
  }

  /** What the node says of itself to others. */
  status(): NodeStatus {
    const { current, next } = this.#views;
    return {
      adopted: (next ?? current).block,
      complete: this.#repair.complete,
      draining: this.#draining,
      tooOld: this.#outlived(),
    };
  }

  #outlived(): readonly string[] {
    const neighbours = this.#views.neighbours().map(({ account }) => toHex(account));
    return neighbours.filter((account) => this.#holdings.outlived(account));
  }

  /** Whether it reads and writes for callers. */
  get isReady(): boolean {
    return this.#peers.isReady();
  }

  /** The time of a newer block; it never goes back. */
  advance(timestampMs: number): void {
    this.#newestMs = Math.max(this.#newestMs, timestampMs);
  }

  /** A block at which the members changed; every one of them, in order. */
  adopt(view: RingView): void {
    this.advance(view.timestampMs);
    this.#views.adopt(view);
  }

  /** Answers a member. @param from the member that the channel proves, lower-case hex. */
  answer(from: string, request: FromNode<RingRequest>): Promise<FromNode<RingReply>> {
    return this.#replica.answer(from, request);
  }

  /** As `Coordinator.write`. */
  write(bytes: Uint8Array): Promise<Written> {
    return this.#coordinator.write(bytes);
  }

  /** As `Coordinator.read`. */
  read(id: RingEntry['id']): Promise<{ readonly entry: RingEntry | undefined }> {
    return this.#coordinator.read(id);
  }

  /** As `Coordinator.mark`. */
  mark(id: RingEntry['id'], mark: string, attempt: string): Promise<boolean> {
    return this.#coordinator.mark(id, mark, attempt);
  }

  /** One round of repair. @returns whether every neighbour that answered has the same records now. */
  repair(): Promise<boolean> {
    return this.#repair.round();
  }

  /**
   * Hands the records over before the node leaves the chain. Call it until it is done.
   * @returns whether the members that stay have everything.
   */
  drain(): Promise<boolean> {
    this.#draining = true;
    return this.#repair.handOver();
  }
}
