/** A network of which a part lost its memory in one moment and starts again at once. */
export interface StormSetting {
  readonly nodes: number;
  /** How many of them serve keys; each store has slots at n of these. */
  readonly servers: number;
  /** Share of the servers that kept their memory. */
  readonly kept: number;
  /** Quotes that a server verifies at the same time. */
  readonly cores: number;
  /** How many locked nodes a server lets wait: `AdmissionQueue` has a line of 4,000. */
  readonly places: number;
  readonly seed: number;
}

/** What became of it; times in milliseconds since the power came back. */
export interface StormOutcome {
  /** Nodes with at least t slots at servers that kept their memory: the others stay locked, whatever the load. */
  readonly openable: number;
  /** When half of them, and 99.9 %, were open. */
  readonly halfMs: number;
  readonly almostAllMs: number;
  /** Of the busiest server: requests, of these refused, and the most that waited in one moment. */
  readonly requests: number;
  readonly refused: number;
  readonly waiting: number;
  /** Keys that were released to callers who had given up. */
  readonly wasted: number;
  /** Open nodes, by tenths of a second. */
  readonly openByTenth: readonly number[];
}

const SLOTS = 5;
const NEEDED = 3;
/** One release with all checks, and one refusal by the head of a request, on one core: more than measured (`bench/RESULTS.md`). */
const RELEASE_MS = 1;
const REFUSAL_MS = 0.08;
const PLACES_OF_OTHERS = 32;
const SHARE_OF_OTHERS = 4;
/** Of a client: how long it waits for an answer, and between two attempts. */
const DEADLINE_MS = 8_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** Making a quote, before an attempt. */
const QUOTE_MS = 20;
const SECONDS = 120;

interface Request {
  readonly node: Node;
  readonly attempt: number;
  readonly isLocked: boolean;
  readonly sentMs: number;
}

interface Server {
  readonly isAlive: boolean;
  readonly locked: Request[];
  readonly others: Request[];
  turns: number;
  underWay: number;
  /** Work that does not wait for a turn and delays what does: refusals. */
  owedMs: number;
  requests: number;
  refused: number;
  waiting: number;
}

interface Node {
  readonly servers: readonly Server[];
  attempt: number;
  answers: number;
  pending: number;
  waitMs: number;
  openMs: number | undefined;
}

/** Plays one storm. Everything follows from the setting. */
export function playStorm(setting: StormSetting): StormOutcome {
  const random = randomOf(setting.seed);
  const events = new EventQueue();
  let wasted = 0;
  const servers: Server[] = Array.from({ length: setting.servers }, () => ({
    isAlive: random() < setting.kept,
    locked: [],
    others: [],
    turns: 0,
    underWay: 0,
    owedMs: 0,
    requests: 0,
    refused: 0,
    waiting: 0,
  }));
  const nodes: Node[] = Array.from({ length: setting.nodes }, () => {
    const chosen = new Set<Server>();
    while (chosen.size < SLOTS) chosen.add(servers[Math.floor(random() * servers.length)] as Server);
    const alive = [...chosen].filter(({ isAlive }) => isAlive);
    return { servers: alive, attempt: 0, answers: 0, pending: 0, waitMs: RETRY_MIN_MS, openMs: undefined };
  });
  const openable = nodes.filter(({ servers: alive }) => alive.length >= NEEDED);

  const answered = (request: Request, isKey: boolean, nowMs: number): void => {
    const { node, attempt } = request;
    if (attempt !== node.attempt || !request.isLocked) {
      if (isKey && request.isLocked) wasted += 1;
      return;
    }
    node.pending -= 1;
    if (isKey) node.answers += 1;
    if (node.openMs !== undefined) return;
    if (node.answers >= NEEDED) {
      node.openMs = nowMs;
      // Its store is open: it makes new slots in place of those that are gone.
      const others = Array.from(
        { length: SLOTS },
        () => servers[Math.floor(random() * servers.length)] as Server,
      );
      for (const server of others)
        if (server.isAlive) ask(server, { node, attempt, isLocked: false, sentMs: nowMs });
    } else if (node.answers + node.pending < NEEDED) again(node, nowMs);
  };

  const again = (node: Node, nowMs: number): void => {
    node.attempt += 1;
    const pauseMs = node.waitMs * (0.75 + random() / 2);
    node.waitMs = Math.min(node.waitMs * 2, RETRY_MAX_MS);
    events.add(nowMs + pauseMs, (atMs) => attempt(node, atMs));
  };

  const attempt = (node: Node, nowMs: number): void => {
    node.answers = 0;
    node.pending = node.servers.length;
    const number = node.attempt;
    for (const server of node.servers) {
      const request = { node, attempt: number, isLocked: true, sentMs: nowMs + QUOTE_MS };
      events.add(nowMs + QUOTE_MS * (1 + random()), () => ask(server, request));
    }
    events.add(nowMs + DEADLINE_MS, (atMs) => {
      if (node.attempt === number && node.openMs === undefined) again(node, atMs);
    });
  };

  const ask = (server: Server, request: Request): void => {
    const { nowMs } = events;
    server.requests += 1;
    if (server.underWay < setting.cores) {
      serve(server, request, nowMs);
      return;
    }
    const [line, places] = request.isLocked
      ? [server.locked, setting.places]
      : [server.others, PLACES_OF_OTHERS];
    if (line.length >= places) {
      refuse(server, request, nowMs);
      return;
    }
    line.push(request);
    server.waiting = Math.max(server.waiting, server.locked.length + server.others.length);
  };

  const refuse = (server: Server, request: Request, nowMs: number): void => {
    server.refused += 1;
    server.owedMs += REFUSAL_MS;
    answered(request, false, nowMs);
  };

  const serve = (server: Server, request: Request, nowMs: number): void => {
    server.underWay += 1;
    const takesMs = RELEASE_MS + server.owedMs;
    server.owedMs = 0;
    events.add(nowMs + takesMs, (atMs) => {
      server.underWay -= 1;
      answered(request, true, atMs);
      server.turns += 1;
      const isForOthers = server.turns % SHARE_OF_OTHERS === 0;
      const [first, second] = isForOthers ? [server.others, server.locked] : [server.locked, server.others];
      const next = first.shift() ?? second.shift();
      if (next !== undefined) serve(server, next, atMs);
    });
  };

  for (const node of openable) attempt(node, 0);
  events.run(SECONDS * 1000);

  const times = openable.map(({ openMs }) => openMs ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const busiest = servers.reduce((most, server) => (server.requests > most.requests ? server : most));
  return {
    openable: openable.length,
    halfMs: times[Math.floor(times.length / 2)] ?? Number.NaN,
    almostAllMs: times[Math.ceil(times.length * 0.999) - 1] ?? Number.NaN,
    requests: busiest.requests,
    refused: busiest.refused,
    waiting: Math.max(...servers.map(({ waiting }) => waiting)),
    wasted,
    openByTenth: Array.from(
      { length: 10 * SECONDS },
      (_, tenth) => times.filter((time) => time <= (tenth + 1) * 100).length,
    ),
  };
}

/** Events in the order of their time (a binary heap). */
class EventQueue {
  readonly #heap: { readonly atMs: number; readonly run: (atMs: number) => void }[] = [];
  nowMs = 0;

  add(atMs: number, run: (atMs: number) => void): void {
    const heap = this.#heap;
    let at = heap.push({ atMs, run }) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#time(parent) <= atMs) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  run(untilMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#removeFirst();
      this.nowMs = next.atMs;
      next.run(next.atMs);
    }
  }

  #removeFirst(): void {
    const heap = this.#heap;
    this.#swap(0, heap.length - 1);
    heap.pop();
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (this.#time(child) < this.#time(least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #time(at: number): number {
    return this.#heap[at]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const heap = this.#heap;
    const [first, second] = [heap[a], heap[b]];
    if (first === undefined || second === undefined) return;
    heap[a] = second;
    heap[b] = first;
  }
}

/** mulberry32: the same numbers for the same seed, everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
