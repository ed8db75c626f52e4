import { compareBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import type { RingMember } from './member.ts';
import { bitAt, POSITION_BYTES } from './position.ts';

/** Replicas of a record unless the operator of the network chooses another number. */
export const DEFAULT_REPLICAS = 4;

/** A part of the sorted members: all with the same first `depth` bits. */
interface Subtree {
  readonly from: number;
  readonly before: number;
  readonly depth: number;
}

/** Who holds which record: a pure function of the members, the same at every node. */
export class Placement {
  /** In the order of their positions; no account twice. */
  readonly members: readonly RingMember[];
  /** k, the replicas of a record. */
  readonly replicas: number;
  readonly #byAccount: ReadonlyMap<string, RingMember>;
  /** Platform and stash of each member, of which a record has one each. */
  readonly #taken: ReadonlyMap<RingMember, readonly [platform: string, stash: string]>;
  /** Most members that one chosen member keeps out, itself included: those of its platform or stash. */
  readonly #mostExcluded: number;

  /** @throws RangeError unless `replicas` is a positive integer and no two members have one account or one position. */
  constructor(members: readonly RingMember[], replicas = DEFAULT_REPLICAS) {
    if (!Number.isInteger(replicas) || replicas < 1)
      throw new RangeError(`replicas must be a positive integer, got ${replicas}`);
    this.members = [...members].sort((a, b) => compareBytes(a.position, b.position));
    this.replicas = replicas;
    this.#byAccount = new Map(members.map((member) => [toHex(member.account), member]));
    this.#taken = new Map(
      members.map((member) => [member, [`platform ${member.platform}`, `stash ${toHex(member.stash)}`]]),
    );
    this.#mostExcluded =
      mostAlike(members.map(({ platform }) => platform)) +
      mostAlike(members.map(({ stash }) => toHex(stash))) -
      1;
    const positions = new Set(members.map(({ position }) => toHex(position)));
    if (this.#byAccount.size < members.length || positions.size < members.length)
      throw new RangeError('a member is listed twice');
  }

  /** A size that no R(id) is below. */
  get fewestReplicas(): number {
    return Math.min(this.replicas, Math.ceil(this.members.length / this.#mostExcluded));
  }

  /** The member of an account. @param account lower-case hex. */
  find(account: string): RingMember | undefined {
    return this.#byAccount.get(account);
  }

  /**
   * R(id): the k members nearest to the id, nearest first, at most one of each platform and stash. Fewer when the ring
   * has fewer.
   * @param isCounted leaves members out; the next nearest ones take their places.
   */
  replicasOf(id: Uint8Array, isCounted: (member: RingMember) => boolean = () => true): readonly RingMember[] {
    const chosen: RingMember[] = [];
    const taken = new Set<string>();
    for (const member of this.nearest(id)) {
      const [platform, stash] = this.#taken.get(member) ?? [];
      if (platform === undefined || stash === undefined) continue;
      if (taken.has(platform) || taken.has(stash) || !isCounted(member)) continue;
      taken.add(platform).add(stash);
      chosen.push(member);
      if (chosen.length === this.replicas) break;
    }
    return chosen;
  }

  /**
   * Whether fewer than `most` members are nearer to an id than this one, counting one of each platform and stash.
   * @param account lower-case hex. @param isCounted leaves members out.
   */
  isAmongNearest(
    account: string,
    id: Uint8Array,
    most: number,
    isCounted: (member: RingMember) => boolean,
  ): boolean {
    const wanted = this.find(account);
    const taken = new Set<string>();
    let nearer = 0;
    for (const member of wanted === undefined ? [] : this.nearest(id)) {
      if (member === wanted) return true;
      const [platform, stash] = this.#taken.get(member) ?? [];
      if (platform === undefined || stash === undefined || !isCounted(member)) continue;
      if (taken.has(platform) || taken.has(stash)) continue;
      taken.add(platform).add(stash);
      nearer += 1;
      if (nearer >= most) return false;
    }
    return false;
  }

  /** All members, nearest to the id first. */
  nearest(id: Uint8Array): Iterable<RingMember> {
    return this.#nearestIn(id, this.#root);
  }

  /**
   * Members that are in one R(id) together with this position, for some id, and perhaps a few more; the position's own
   * member too. The smallest part of the ring that certainly has all of them.
   * @param replicas another k, to have also those that would take the places of some.
   */
  neighboursOf(position: Uint8Array, replicas = this.replicas): readonly RingMember[] {
    const enough = replicas * this.#mostExcluded;
    let subtree = this.#root;
    while (subtree.depth < 8 * POSITION_BYTES) {
      const halves = this.#halves(subtree);
      if (halves.some(({ from, before }) => before - from < enough)) break;
      subtree = halves[bitAt(position, subtree.depth)];
    }
    return this.members.slice(subtree.from, subtree.before);
  }

  get #root(): Subtree {
    return { from: 0, before: this.members.length, depth: 0 };
  }

  *#nearestIn(id: Uint8Array, subtree: Subtree): Generator<RingMember, void> {
    const { from, before, depth } = subtree;
    if (before - from <= 1) {
      yield* this.members.slice(from, before);
      return;
    }
    const halves = this.#halves(subtree);
    const near = bitAt(id, depth);
    // Every position with the same bit is nearer than every position with the other one.
    yield* this.#nearestIn(id, halves[near]);
    yield* this.#nearestIn(id, halves[near === 0 ? 1 : 0]);
  }

  /** The members with 0 as their next bit, and those with 1. */
  #halves({ from, before, depth }: Subtree): readonly [Subtree, Subtree] {
    let [low, high] = [from, before];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const member = this.members[middle];
      if (member !== undefined && bitAt(member.position, depth) === 0) low = middle + 1;
      else high = middle;
    }
    return [
      { from, before: low, depth: depth + 1 },
      { from: low, before, depth: depth + 1 },
    ];
  }
}

/** How often the commonest name occurs, at least 1. */
function mostAlike(names: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.values()].reduce((most, count) => Math.max(most, count), 1);
}
