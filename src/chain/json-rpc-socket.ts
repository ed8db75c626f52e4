import { WebSocket } from 'ws';
import { type Clock, monotonicMsOf, systemClock } from '../time/clock.ts';
import { startTimer, type Timer } from '../time/timer.ts';
import { answeredError, handshakeFailure, RpcFailure } from './rpc-failure.ts';

/** Largest message that is read; a state query is split so that honest answers stay far below. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/**
 * Members, elements and nestings of one message; honest answers are few long strings and have some hundreds. Without
 * this bound 32 MB of `[[[[` or `{},{},` become a gigabyte of objects, and seconds in which nothing else runs.
 */
const MAX_MESSAGE_PARTS = 100_000;
/**
 * Of one property name; honest ones have some ten. V8 gives texts above 16,383 characters of one length one hash, so
 * 32 MB of such names take it seconds: it compares each with all others.
 */
const MAX_NAME_BYTES = 1024;
/** Of notifications that arrive before the id of their subscription; the header of a block has some kilobytes. */
const MAX_EARLY_BYTES = 1024 * 1024;

/**
 * Of messages that answer no request, of which each costs its parsing: at once, and for each further second. A header has
 * some kilobytes, and thousands of them come together where finality stood still.
 */
const MAX_UNASKED_BYTES = 4 * 1024 * 1024;
const UNASKED_BYTES_PER_SECOND = 64 * 1024;

/** How a socket is opened. */
export interface JsonRpcSocketOptions {
  /** `ws://` or `wss://` URL. */
  readonly endpoint: string;
  /** Milliseconds for the TCP, TLS and WebSocket handshakes together. */
  readonly connectDeadlineMs: number;
  /** Milliseconds for each answer. */
  readonly requestDeadlineMs: number;
  /** Ends the connection, or the attempt to connect, at once. */
  readonly signal?: AbortSignal;
  /** For the deadlines; the system's by default. */
  readonly clock?: Clock;
}

/** One WebSocket connection that speaks JSON-RPC 2.0; when it ends it stays ended. */
export interface JsonRpcSocket {
  /** @throws ProblemError CHAIN_UNAVAILABLE on an error answer, a late answer or a lost connection. */
  request(method: string, params: readonly unknown[]): Promise<unknown>;
  /** Calls back with each notification of the subscription that `method` starts. */
  subscribe(method: string, onResult: (result: unknown) => void): Promise<void>;
  /** Resolves with the reason once the connection is over. */
  readonly ended: Promise<string>;
  /** Ends the connection at once, without waiting for the other side. */
  close(reason: string): void;
}

/** Scheme, host and port of an endpoint: paths and queries often hold API keys and must not reach logs. */
export function endpointName(endpoint: string): string {
  return URL.canParse(endpoint)
    ? `${new URL(endpoint).protocol}//${new URL(endpoint).host}`
    : 'an invalid URL';
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly method: string;
  readonly reject: (error: RpcFailure) => void;
  readonly timer: Timer;
}

/** What a server may send; every field is checked before use. */
interface Message {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown } | null;
  readonly params?: { readonly subscription?: unknown; readonly result?: unknown } | null;
}

/** Pending requests and subscriptions of one socket; independent of the socket itself. */
class Exchange {
  readonly #waiting = new Map<number, Waiting>();
  readonly #subscriptions = new Map<unknown, (result: unknown) => void>();
  #early: { readonly message: Message; readonly size: number }[] = [];
  #earlyBytes = 0;
  /** Requests whose deadline has passed; each may still be answered once. */
  readonly #late = new Set<number>();
  readonly #clock: Clock;
  #nextId = 1;
  #unaskedLeft = MAX_UNASKED_BYTES;
  #unaskedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#unaskedAtMs = monotonicMsOf(clock);
  }

  add(method: string, deadlineMs: number): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = startTimer(this.#clock, deadlineMs, () => {
        this.#waiting.delete(id);
        this.#late.add(id);
        reject(new RpcFailure(`${method}: no answer within ${deadlineMs} ms`));
      });
      this.#waiting.set(id, { method, resolve, reject, timer });
    });
    return { id, answer };
  }

  addSubscription(subscription: unknown, onResult: (result: unknown) => void): void {
    this.#subscriptions.set(subscription, onResult);
    const early = this.#early;
    this.#forgetEarly();
    for (const { message, size } of early) this.#notify(message, size);
  }

  /**
   * @param size bytes of the message on the wire.
   * @returns false when the endpoint sends too much that no request asked for.
   */
  receive(message: Message, size: number): boolean {
    if (typeof message.id === 'number' && this.#answer(message.id, message)) return true;
    if (!this.#mayTake(size)) return false;
    if (typeof message.id !== 'number') this.#notify(message, size);
    return true;
  }

  #mayTake(size: number): boolean {
    const nowMs = monotonicMsOf(this.#clock);
    const more = ((nowMs - this.#unaskedAtMs) * UNASKED_BYTES_PER_SECOND) / 1000;
    this.#unaskedAtMs = nowMs;
    this.#unaskedLeft = Math.min(MAX_UNASKED_BYTES, this.#unaskedLeft + more) - size;
    return this.#unaskedLeft >= 0;
  }

  #notify(message: Message, size: number): void {
    const listener = this.#subscriptions.get(message.params?.subscription);
    if (listener !== undefined) listener(message.params?.result);
    else if (this.#earlyBytes + size <= MAX_EARLY_BYTES) {
      this.#earlyBytes += size;
      this.#early.push({ message, size });
    }
  }

  #forgetEarly(): void {
    this.#early = [];
    this.#earlyBytes = 0;
  }

  /** @returns whether a request had this id, and was not answered before. */
  #answer(id: number, { result, error }: Message): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return this.#late.delete(id);
    this.#waiting.delete(id);
    waiting.timer.stop();
    if (error === undefined || error === null) waiting.resolve(result);
    else waiting.reject(answeredError(waiting.method, error));
    return true;
  }

  /** @param byEndpoint whether the endpoint ended the connection, maybe because of what it was asked. */
  fail(reason: string, byEndpoint: boolean): void {
    for (const { method, reject, timer } of this.#waiting.values()) {
      timer.stop();
      const detail = { isConnectionOver: true, mayBeTooLarge: byEndpoint };
      reject(new RpcFailure(`${method}: ${reason}`, detail));
    }
    this.#waiting.clear();
    this.#subscriptions.clear();
    this.#forgetEarly();
  }
}

/** Whether a text has more parts than an honest message. Characters inside of strings are counted too. */
function hasTooManyParts(text: Buffer): boolean {
  let left = MAX_MESSAGE_PARTS;
  for (const sign of Buffer.from(',[{')) {
    for (let at = text.indexOf(sign); at !== -1; at = text.indexOf(sign, at + 1)) {
      left -= 1;
      if (left < 0) return true;
    }
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACES: readonly number[] = [...Buffer.from(' \t\r\n')];

/** Whether a property name is longer than any honest one. One pass, whatever the text is. */
function hasLongName(text: Buffer): boolean {
  for (let start = text.indexOf(QUOTE); start !== -1; ) {
    let end = text.indexOf(QUOTE, start + 1);
    while (end !== -1 && isEscaped(text, end)) end = text.indexOf(QUOTE, end + 1);
    if (end === -1) return false;
    if (end - start > MAX_NAME_BYTES && isBeforeColon(text, end + 1)) return true;
    start = text.indexOf(QUOTE, end + 1);
  }
  return false;
}

/** Whether an odd number of backslashes stands before a place. */
function isEscaped(text: Buffer, at: number): boolean {
  let before = at;
  while (text[before - 1] === BACKSLASH) before -= 1;
  return (at - before) % 2 === 1;
}

function isBeforeColon(text: Buffer, from: number): boolean {
  let at = from;
  while (SPACES.includes(text[at] ?? 0)) at += 1;
  return text[at] === ':'.charCodeAt(0);
}

function parseMessage(text: Buffer): Message | undefined {
  if (hasTooManyParts(text) || hasLongName(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text.toString());
    // Every field of Message is optional and unknown inside, so any object is one.
    return typeof value === 'object' && value !== null ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

function handshake(socket: WebSocket, options: JsonRpcSocketOptions, clock: Clock): Promise<void> {
  const { connectDeadlineMs, endpoint } = options;
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      timer.stop();
      socket.terminate();
      reject(handshakeFailure(endpointName(endpoint), why));
    };
    const timer = startTimer(clock, connectDeadlineMs, () =>
      fail(`no handshake within ${connectDeadlineMs} ms`),
    );
    socket.once('open', () => {
      timer.stop();
      resolve();
    });
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail('closed during the handshake'));
  });
}

/**
 * Connects and returns the open socket. @polkadot/api's own WebSocket provider retries for ever, waits without limit on
 * a server that accepts and stays silent, and cannot be ended at once; this one never reconnects.
 * @throws ProblemError CHAIN_UNAVAILABLE.
 */
export async function openJsonRpcSocket(options: JsonRpcSocketOptions): Promise<JsonRpcSocket> {
  const { clock = systemClock } = options;
  const socket = new WebSocket(options.endpoint, {
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  const exchange = new Exchange(clock);
  let finish: (reason: string) => void = () => undefined;
  let closed = false;
  const ended = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const end = (reason: string, byEndpoint = false): void => {
    if (closed) return;
    closed = true;
    exchange.fail(reason, byEndpoint);
    finish(reason);
    socket.terminate();
  };
  // Attached before anything can fail: an 'error' event without listener would end the process.
  socket.on('error', (error) => end(`connection error: ${error.message}`, true));
  socket.on('close', (code) => end(`connection closed (${code})`, true));
  socket.on('message', (data, isBinary) => {
    // A Buffer unless another binaryType is chosen.
    const text = isBinary || !Buffer.isBuffer(data) ? undefined : data;
    const message = text === undefined ? undefined : parseMessage(text);
    if (text === undefined || message === undefined) end('the endpoint sent something that is not JSON-RPC');
    else if (!exchange.receive(message, text.length)) end('the endpoint sends more than it was asked for');
  });
  const onAbort = (): void => end('aborted');
  options.signal?.addEventListener('abort', onAbort);
  void ended.then(() => options.signal?.removeEventListener('abort', onAbort));
  if (options.signal?.aborted === true) onAbort();
  await handshake(socket, options, clock);

  const request = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    if (closed) throw new RpcFailure(`${method}: the connection is closed`, { isConnectionOver: true });
    const { id, answer } = exchange.add(method, options.requestDeadlineMs);
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return await answer;
  };
  return {
    request,
    async subscribe(method, onResult) {
      exchange.addSubscription(await request(method, []), onResult);
    },
    ended,
    close: (reason) => end(reason),
  };
}
