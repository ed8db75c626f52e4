import { type Quorum, thresholdFor } from '../src/keyslots/threshold.ts';
import { Dice } from '../test/support/dice.ts';

/** A network and what happens to it. Times in seconds. */
export interface World {
  readonly nodes: number;
  /** From a crash until the node asks for its key. */
  readonly downS: number;
  /** From the loss of a slot until a running node has replaced it, its server being back or given up. */
  readonly healS: number;
  /** Crashes of one node in a year, each by itself. */
  readonly crashesPerYear: number;
  /** Nodes that fail in the same moment (a rack, a zone), and how often one group does in a year. */
  readonly group?: { readonly nodes: number; readonly failuresPerYear: number };
  /** All nodes restart one after the other: how often in a year, and the seconds between two of them. */
  readonly rolls?: { readonly perYear: number; readonly stepS: number };
}

/** What came out. */
export interface Outcome {
  /** Restarts of a node, whatever the reason. */
  readonly restarts: number;
  /** Restarts after which too few servers had the slots of the node: its store is lost, or needs its custodians. */
  readonly lost: number;
}

const YEAR_S = 365 * 86_400;
/** Servers that one attempt to heal looks at. */
const MOST_DRAWS = 200;

/** The quorum of each store in a network of this number of nodes, all of which are key servers. @throws RangeError for fewer than 2. */
export function quorumOf(nodes: number): Quorum {
  const quorum = thresholdFor(nodes - 1, { bootstrap: true });
  if (quorum === undefined) throw new RangeError(`a network needs at least 2 nodes, got ${nodes}`);
  return quorum;
}

/** Slots of the store of one node: who has them, and in which life of that server. */
interface Slot {
  readonly server: number;
  readonly life: number;
}

/** Events in the order of their times; events of one time in the order in which they were added. */
class Agenda {
  readonly #heap: { readonly at: number; readonly order: number; readonly what: () => void }[] = [];
  #added = 0;

  add(at: number, what: () => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#added++, what });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#isBefore(child, parent)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  take(): { readonly at: number; readonly what: () => void } | undefined {
    const heap = this.#heap;
    if (heap.length > 1) this.#swap(0, heap.length - 1);
    const taken = heap.pop();
    for (let parent = 0; ; ) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      let first = parent;
      if (left < heap.length && this.#isBefore(left, first)) first = left;
      if (right < heap.length && this.#isBefore(right, first)) first = right;
      if (first === parent) return taken;
      this.#swap(first, parent);
      parent = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) throw new RangeError('no such event');
    return x.at < y.at || (x.at === y.at && x.order < y.order);
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (x === undefined || y === undefined) throw new RangeError('no such event');
    this.#heap[a] = y;
    this.#heap[b] = x;
  }
}

/**
 * The memory of key servers, and nothing else: who has which slot, and who restarts when. A node opens its store again
 * when t of its slots are where it left them, and makes new ones for those that are gone once it runs; a server that
 * restarts has forgotten all slots. A node that loses its store begins with a new one.
 */
export class SurvivalModel {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #agenda = new Agenda();
  readonly #quorum: Quorum;
  /** How often each server has lost its memory. */
  readonly #lives: number[];
  /** Whether the node is open, and so gives slots and heals its own. */
  readonly #isOpen: boolean[];
  readonly #slots: Slot[][];
  /** Nodes that have had a slot at a server; some have left it. */
  readonly #clients: Set<number>[];
  #now = 0;
  #restarts = 0;
  #lost = 0;

  /** @throws RangeError as {@link quorumOf}. */
  constructor(world: World, seed: number) {
    this.#world = world;
    this.#dice = new Dice(seed);
    this.#quorum = quorumOf(world.nodes);
    const each = Array.from({ length: world.nodes }, (_, node) => node);
    this.#lives = each.map(() => 0);
    this.#isOpen = each.map(() => true);
    this.#clients = each.map(() => new Set<number>());
    this.#slots = each.map(() => []);
    for (const node of each) this.#heal(node);
  }

  /** Simulates this number of years. */
  run(years: number): Outcome {
    const end = years * YEAR_S;
    this.#plan(end);
    for (let next = this.#agenda.take(); next !== undefined && next.at <= end; next = this.#agenda.take()) {
      this.#now = next.at;
      next.what();
    }
    return { restarts: this.#restarts, lost: this.#lost };
  }

  #plan(end: number): void {
    const { nodes, crashesPerYear, group, rolls } = this.#world;
    this.#repeat(end, nodes * crashesPerYear, () => this.#crash([this.#dice.below(nodes)]));
    if (group !== undefined)
      this.#repeat(end, group.failuresPerYear, () => this.#crash(this.#someNodes(group.nodes)));
    if (rolls === undefined) return;
    this.#repeat(end, rolls.perYear, () => {
      for (let node = 0; node < nodes; node++)
        this.#agenda.add(this.#now + node * rolls.stepS, () => this.#crash([node]));
    });
  }

  /** Something that happens at random times, so often in a year. */
  #repeat(end: number, perYear: number, what: () => void): void {
    if (perYear <= 0) return;
    const next = (from: number): void => {
      const at = from - (Math.log(1 - this.#dice.below(2 ** 30) / 2 ** 30) * YEAR_S) / perYear;
      if (at > end) return;
      this.#agenda.add(at, () => {
        what();
        next(at);
      });
    };
    next(0);
  }

  #someNodes(count: number): readonly number[] {
    const chosen = new Set<number>();
    while (chosen.size < Math.min(count, this.#world.nodes)) chosen.add(this.#dice.below(this.#world.nodes));
    return [...chosen];
  }

  /** These nodes stop in one moment. */
  #crash(nodes: readonly number[]): void {
    const { downS, healS } = this.#world;
    for (const node of nodes) {
      this.#lives[node] = (this.#lives[node] ?? 0) + 1;
      if (!this.#isOpen[node]) continue;
      this.#isOpen[node] = false;
      this.#agenda.add(this.#now + downS, () => this.#boot(node));
    }
    // Slots that were given before the crash are gone; who runs replaces them.
    for (const node of nodes) {
      for (const client of this.#clients[node] ?? [])
        this.#agenda.add(this.#now + healS, () => this.#heal(client));
      this.#clients[node]?.clear();
    }
  }

  #boot(node: number): void {
    this.#restarts++;
    const kept = (this.#slots[node] ?? []).filter((slot) => this.#isKept(slot));
    if (kept.length < this.#quorum.t) this.#lost++;
    this.#isOpen[node] = true;
    this.#agenda.add(this.#now + this.#world.healS, () => this.#heal(node));
  }

  #isKept({ server, life }: Slot): boolean {
    return this.#lives[server] === life;
  }

  /** A running node replaces the slots that are gone, at servers that are open. */
  #heal(node: number): void {
    if (!this.#isOpen[node]) return;
    const kept = (this.#slots[node] ?? []).filter((slot) => this.#isKept(slot));
    const used = new Set([node, ...kept.map(({ server }) => server)]);
    // In a large network nearly every draw is of use; where most are closed, the next try finds more.
    for (let draw = 0; draw < MOST_DRAWS && kept.length < this.#quorum.n; draw++) {
      const server = this.#dice.below(this.#world.nodes);
      if (used.has(server) || !this.#isOpen[server]) continue;
      used.add(server);
      kept.push({ server, life: this.#lives[server] ?? 0 });
      this.#clients[server]?.add(node);
    }
    this.#slots[node] = kept;
    if (kept.length < this.#quorum.n) this.#agenda.add(this.#now + this.#world.healS, () => this.#heal(node));
  }
}

/** Of k things out of all, how many ways; as a number, for ratios. */
function choose(all: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways *= (all - k + i) / i;
  return k > all ? 0 : ways;
}

/**
 * How likely a node of a group loses its store when the group fails in one moment and all else runs: more than n − t of
 * its n servers are in the group. Exact (hypergeometric).
 */
export function lossInGroup(nodes: number, group: number): number {
  const { t, n } = quorumOf(nodes);
  const [others, failed] = [nodes - 1, group - 1];
  let ways = 0;
  for (let gone = n - t + 1; gone <= n; gone++)
    ways += choose(failed, gone) * choose(others - failed, n - gone);
  return ways / choose(others, n);
}

/**
 * How likely one restart of a node loses its store when all nodes crash independently: more than n − t of its servers
 * do within the time that the node is down and its slots are not healed. Exact for times that are short compared with
 * those between crashes (binomial).
 */
export function lossAlone(world: Pick<World, 'nodes' | 'downS' | 'healS' | 'crashesPerYear'>): number {
  const { t, n } = quorumOf(world.nodes);
  const gone = 1 - Math.exp((-world.crashesPerYear * (world.downS + world.healS)) / YEAR_S);
  let chance = 0;
  for (let k = n - t + 1; k <= n; k++) chance += choose(n, k) * gone ** k * (1 - gone) ** (n - k);
  return chance;
}
