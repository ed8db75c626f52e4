import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { type Configuration, changing } from './configuration.ts';
import type { RingMember } from './member.ts';
import type { Placement } from './placement.ts';
import { readQuorum } from './quorum.ts';

/** The members at one finalized block. */
export interface RingView {
  /** Number of the block. */
  readonly block: number;
  /** Time of the block: the only clock of the ring, which a host can stop and not turn. */
  readonly timestampMs: number;
  readonly placement: Placement;
}

/**
 * The views of one node: the one by which it serves, and the change to the next one while it is under way. Every node
 * has to be given the same views in the same order, those of all blocks at which the members changed.
 */
export class RingViews {
  #current: RingView;
  #waiting: readonly RingView[] = [];
  /** Block of the newest view for which a member is complete, by account in hex. */
  readonly #complete = new Map<string, number>();
  readonly #own: RingMember;
  #version = 0;

  /** @param own this node; its neighbours decide when a change is over. */
  constructor(own: RingMember, current: RingView) {
    this.#own = own;
    this.#current = current;
  }

  /** Grows whenever another view serves, or another change is under way: then records have other keepers. */
  get version(): number {
    return this.#version;
  }

  /** The view that serves. */
  get current(): RingView {
    return this.#current;
  }

  /** The view of the change that is under way. */
  get next(): RingView | undefined {
    return this.#waiting[0];
  }

  /** Adds the next view of the chain; the change to it begins when those before it are over. Older views do nothing. */
  adopt(view: RingView): void {
    if (view.block <= this.#newest.block) return;
    this.#waiting = [...this.#waiting, view];
    this.#version += 1;
    this.#settle();
  }

  /**
   * A member says that it has all records of its ranges under the view of a block, or under a later one.
   * @param account lower-case hex.
   */
  noteComplete(account: string, block: number): void {
    if (block <= (this.#complete.get(account) ?? -1)) return;
    this.#complete.set(account, block);
    this.#settle();
  }

  /** The sets that are responsible for an id. */
  configurationOf(id: Uint8Array): Configuration {
    const old = accountsOf(this.#current.placement.replicasOf(id));
    const { next } = this;
    return next === undefined ? [old] : changing(old, accountsOf(next.placement.replicasOf(id)));
  }

  /**
   * Members that keep copies of an id: its holders in every view that is under way, and those that take the places of
   * members which are silent or drain. The latter hold copies only and count for no quorum.
   * @param id lower-case hex. @param without the silent and draining members, lower-case hex.
   */
  keepersOf(id: string, without: ReadonlySet<string>): ReadonlySet<string> {
    const bytes = tryFromHex(id) ?? new Uint8Array(0);
    const keepers = new Set(this.configurationOf(bytes).flat());
    if (without.size === 0) return keepers;
    const { placement } = this.next ?? this.#current;
    const present = placement.replicasOf(bytes, ({ account }) => !without.has(toHex(account)));
    for (const account of accountsOf(present)) keepers.add(account);
    return keepers;
  }

  /**
   * Whether a member may be given the record of an id: it is among the 2 k nearest that are not away. Those that take the
   * places of others are; a member that lies about who is away gets no more.
   * @param id lower-case hex. @param away the members that this node itself finds silent or draining, lower-case hex.
   */
  mayKeep(account: string, id: string, away: ReadonlySet<string>): boolean {
    const bytes = tryFromHex(id) ?? new Uint8Array(0);
    const isPresent = (member: RingMember) => away.size === 0 || !away.has(toHex(member.account));
    return [this.#current, this.next].some(
      (view) =>
        view?.placement.isAmongNearest(account, bytes, 2 * view.placement.replicas, isPresent) === true,
    );
  }

  /**
   * Members of both views that may hold a record together with this node, without it.
   * @param absent how many members are away, so that others take their places.
   */
  neighbours(absent = 0): readonly RingMember[] {
    const found = new Map<string, RingMember>();
    for (const view of [this.#current, this.next]) {
      if (view === undefined) continue;
      const { placement } = view;
      for (const member of placement.neighboursOf(this.#own.position, placement.replicas + absent)) {
        found.set(toHex(member.account), member);
      }
    }
    found.delete(toHex(this.#own.account));
    return [...found.values()];
  }

  /** Whether the chain's newest view has a member. @param account lower-case hex. */
  isMember(account: string): boolean {
    return this.#newest.placement.find(account) !== undefined;
  }

  /**
   * Whether this node has all records of its ranges once it has compared them with these members, each of which was in
   * the change that is under way.
   */
  isComplete(compared: ReadonlySet<string>): boolean {
    return this.#hasEnough(this.#current, compared);
  }

  get #newest(): RingView {
    return this.#waiting.at(-1) ?? this.#current;
  }

  #settle(): void {
    for (let { next } = this; next !== undefined; next = this.next) {
      const { block } = next;
      const complete = new Set(
        [...this.#complete].filter(([, upTo]) => upTo >= block).map(([account]) => account),
      );
      if (!this.#hasEnough(next, complete, 'with itself')) return;
      this.#current = next;
      this.#waiting = this.#waiting.slice(1);
      this.#version += 1;
    }
  }

  /**
   * Whether these are a write quorum of every R(id) that this node is in: all neighbours except so few that no set
   * lacks its quorum. Members that have left the chain count as missing while that leaves a quorum; when more left at
   * once, all that remain are enough, or their ranges could never be served again.
   */
  #hasEnough({ placement }: RingView, accounts: ReadonlySet<string>, itself?: 'with itself'): boolean {
    const own = toHex(this.#own.account);
    const neighbours = accountsOf(placement.neighboursOf(this.#own.position)).filter(
      (account) => account !== own || (itself !== undefined && placement.find(own) !== undefined),
    );
    const remaining = neighbours.filter((account) => this.isMember(account));
    const missing = remaining.filter((account) => !accounts.has(account)).length;
    const left = neighbours.length - remaining.length;
    return missing <= Math.max(0, readQuorum(placement.fewestReplicas) - 1 - left);
  }
}

const accountsOf = (members: readonly RingMember[]): string[] => members.map(({ account }) => toHex(account));
