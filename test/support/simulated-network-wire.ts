import { PeerError } from '../../src/boot/peer/peer-failure.ts';
import type { PeerAnswer, PeerTransport } from '../../src/boot/peer/peer-transport.ts';
import { problemOf } from '../../src/errors/problem.ts';
import type { Clock } from '../../src/time/clock.ts';
import { orAborted } from '../../src/time/or-aborted.ts';
import type { Dice } from './disk-dice.ts';

/** What a host or a malicious server does with requests to one address. */
export type Misbehaviour =
  | 'none'
  /** Takes requests and never answers. */
  | 'hang'
  /** Answers late, but within the deadline. */
  | 'slow'
  /** Answers with what was answered to somebody before. */
  | 'replay'
  /** Answers with JSON that follows no protocol. */
  | 'garbage'
  /** Says to everybody that it knows no such key. */
  | 'denies'
  /** Answers under this server's account with another X25519 key. */
  | 'impersonate'
  /** Passes requests on to another server. */
  | 'redirect';

/** One request that went over the wire, with its answer. */
export interface Exchange {
  readonly from: string;
  readonly endpoint: string;
  readonly path: string;
  readonly body: unknown;
  readonly answer: PeerAnswer;
  /** Whether a server gave the answer, and not the host. */
  readonly served: boolean;
}

/** Learns of what goes over the wire, as the host does. */
export interface WireObserver {
  /** A request was answered; the answer may still get lost. */
  served(exchange: Exchange): void;
  /** The answer is with the client. */
  delivered(exchange: Exchange): void;
}

/** One route in one direction on which nothing passes. */
export interface DroppedRoute {
  /** Name of the client. */
  readonly from: string;
  /** Address of the server. */
  readonly endpoint: string;
  /** Every path, when it is absent. */
  readonly path?: string;
  readonly what: 'requests' | 'answers';
}

/** Serves one address. */
export type Handler = (path: string, body: unknown) => Promise<unknown>;

interface Address {
  readonly serve: Handler;
  /** The one that pretends to be this server. */
  readonly impostor?: Handler | undefined;
  /** A server of the host gives away keys that it made itself: a redirect that leads there proves nothing. */
  readonly isOfHost?: boolean;
}

const LATENCY_MS = 15;
const MAX_RECORDED = 400;

/** The network between all nodes; the host sees, keeps and may change everything on it. */
export class Wire {
  readonly #clock: Clock;
  readonly #dice: Dice;
  readonly #addresses = new Map<string, Address>();
  readonly misbehaviour = new Map<string, Misbehaviour>();
  /** Milliseconds by which every request to an address is delayed. */
  readonly delayMs = new Map<string, number>();
  /** Pairs `from>endpoint` between which nothing passes. */
  readonly cut = new Set<string>();
  readonly dropped = new Set<DroppedRoute>();
  readonly recorded: Exchange[] = [];
  readonly observers = new Set<WireObserver>();
  /** The answer of the network instead of a server, for each request; `undefined` lets the request pass. */
  forge: (request: Pick<Exchange, 'from' | 'endpoint' | 'path' | 'body'>) => PeerAnswer | 'hang' | undefined =
    () => undefined;
  /** Told of every answered request. */
  onExchange: (exchange: Exchange) => void = () => undefined;
  requests = 0;

  constructor(clock: Clock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  /** Puts a server at an address, or takes it away. */
  place(endpoint: string, address: Address | undefined): void {
    if (address === undefined) this.#addresses.delete(endpoint);
    else this.#addresses.set(endpoint, address);
  }

  /** The wire as one machine sees it. */
  transportFrom(from: string): PeerTransport {
    return { send: (endpoint, path, body, signal) => this.#send(from, endpoint, path, body, signal) };
  }

  async #send(
    from: string,
    endpoint: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<PeerAnswer> {
    this.requests++;
    await this.#clock.sleep(LATENCY_MS + this.#dice.below(10), signal);
    const misbehaviour = this.misbehaviour.get(endpoint) ?? 'none';
    if (this.cut.has(`${from}>${endpoint}`) || misbehaviour === 'hang') return await hang(signal);
    if (this.#isDropped('requests', from, endpoint, path)) return await hang(signal);
    const address = this.#addresses.get(endpoint);
    if (address === undefined) throw new PeerError({ kind: 'unreachable', detail: 'ECONNREFUSED' });
    const delayMs = this.delayMs.get(endpoint) ?? 0;
    if (delayMs > 0) await this.#clock.sleep(delayMs, signal);
    if (misbehaviour === 'slow') await this.#clock.sleep(300 + this.#dice.below(1_200), signal);
    if (signal.aborted) throw new PeerError({ kind: 'unreachable', detail: 'aborted' });
    const handler = this.#handlerOf(endpoint, address, misbehaviour);
    const forged = this.forge({ from, endpoint, path, body });
    if (forged === 'hang') return await hang(signal);
    const spoiled = forged ?? this.#spoiled(misbehaviour, path);
    const answer = spoiled ?? (await orAborted(serve(handler, path, body), signal));
    const exchange = { from, endpoint, path, body, answer, served: spoiled === undefined };
    this.recorded.push(exchange);
    if (this.recorded.length > MAX_RECORDED) this.recorded.shift();
    this.onExchange(exchange);
    for (const observer of this.observers) observer.served(exchange);
    if (this.#isDropped('answers', from, endpoint, path)) return await hang(signal);
    await this.#clock.sleep(LATENCY_MS, signal);
    if (!signal.aborted) for (const observer of this.observers) observer.delivered(exchange);
    return answer;
  }

  #isDropped(what: DroppedRoute['what'], from: string, endpoint: string, path: string): boolean {
    if (this.dropped.size === 0) return false;
    return [...this.dropped].some(
      (route) =>
        route.what === what &&
        route.from === from &&
        route.endpoint === endpoint &&
        (route.path ?? path) === path,
    );
  }

  #handlerOf(endpoint: string, address: Address, misbehaviour: Misbehaviour): Handler {
    if (misbehaviour === 'impersonate') return address.impostor ?? address.serve;
    if (misbehaviour !== 'redirect') return address.serve;
    const others = [...this.#addresses].filter(([other, { isOfHost }]) => other !== endpoint && !isOfHost);
    return others[this.#dice.below(others.length)]?.[1].serve ?? address.serve;
  }

  #spoiled(misbehaviour: Misbehaviour, path: string): PeerAnswer | undefined {
    switch (misbehaviour) {
      case 'replay': {
        const same = this.recorded.filter((exchange) => exchange.path === path);
        return same[this.#dice.below(same.length)]?.answer;
      }
      case 'garbage':
        return { status: this.#dice.chance(0.7) ? 200 : 500, body: { junk: this.#dice.below(1000) } };
      case 'denies':
        return { status: 404, body: { code: 'KEY_UNKNOWN', detail: 'no such key' } };
      default:
        return undefined;
    }
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(new PeerError({ kind: 'unreachable', detail: 'hangs' }));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** Both ways through JSON, as over HTTP; errors as the middleware answers them. */
async function serve(handler: Handler, path: string, body: unknown): Promise<PeerAnswer> {
  try {
    const parsed: unknown = body === undefined ? undefined : jsonCopy(body);
    const answer: unknown = jsonCopy(await handler(path, parsed));
    return { status: 200, body: answer };
  } catch (error) {
    const problem = problemOf(error, 'simulated');
    return { status: problem.status, body: JSON.parse(JSON.stringify(problem)) };
  }
}

/** What `JSON.parse(JSON.stringify(value))` gives, without making text of it: that was an eighth of a life. */
export function jsonCopy(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (Array.isArray(value)) return value.map((item: unknown) => jsonCopy(item) ?? null);
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) {
    // Values of classes, and the rest that JSON treats in ways of its own.
    const text = JSON.stringify(value);
    return text === undefined ? undefined : JSON.parse(text);
  }
  if ('toJSON' in value) return JSON.parse(JSON.stringify(value));
  const copy: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    const copied = jsonCopy(part);
    if (copied !== undefined) copy[name] = copied;
  }
  return copy;
}
