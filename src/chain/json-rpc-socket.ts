import { WebSocket } from 'ws';
import { escapeControls } from '../bytes/escape-controls.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** Largest message that is read; a state query is split so that honest answers stay far below. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/**
 * Members, elements and nestings of one message; honest answers are few long strings and have some hundreds. Without
 * this bound 32 MB of `[[[[` or `{},{},` become a gigabyte of objects, and seconds in which nothing else runs.
 */
const MAX_MESSAGE_PARTS = 100_000;
/** Of notifications kept for subscriptions whose id has not arrived yet; the header of a block has some kilobytes. */
const MAX_EARLY_BYTES = 1024 * 1024;
/** Of an error's text, which goes to the log. */
const MAX_REASON_CHARACTERS = 200;

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

const unavailable = (message: string): ProblemError => new ProblemError('CHAIN_UNAVAILABLE', message);

/** Scheme, host and port of an endpoint: paths and queries often hold API keys and must not reach logs. */
export function endpointName(endpoint: string): string {
  return URL.canParse(endpoint)
    ? `${new URL(endpoint).protocol}//${new URL(endpoint).host}`
    : 'an invalid URL';
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: ProblemError) => void;
  readonly timer: NodeJS.Timeout;
}

/** What a server may send; every field is checked before use. */
interface Message {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown } | null;
  readonly params?: { readonly subscription?: unknown; readonly result?: unknown } | null;
}

/** Requests in flight and subscriptions of one socket; knows nothing of the socket itself. */
class Exchange {
  readonly #waiting = new Map<number, Waiting>();
  readonly #subscriptions = new Map<unknown, (result: unknown) => void>();
  #early: { readonly message: Message; readonly size: number }[] = [];
  #earlyBytes = 0;
  #nextId = 1;

  add(method: string, deadlineMs: number): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(unavailable(`no answer to ${method} within ${deadlineMs} ms`));
      }, deadlineMs);
      this.#waiting.set(id, { resolve, reject, timer });
    });
    return { id, answer };
  }

  addSubscription(subscription: unknown, onResult: (result: unknown) => void): void {
    this.#subscriptions.set(subscription, onResult);
    const early = this.#early;
    this.#forgetEarly();
    for (const { message, size } of early) this.receive(message, size);
  }

  /** @param size bytes of the message on the wire. */
  receive(message: Message, size: number): void {
    if (typeof message.id === 'number') {
      this.#answer(message.id, message);
      return;
    }
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

  #answer(id: number, { result, error }: Message): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === undefined || error === null) waiting.resolve(result);
    else waiting.reject(unavailable(`the endpoint answered ${textOf(error.code)}: ${textOf(error.message)}`));
  }

  fail(reason: string): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(unavailable(reason));
    }
    this.#waiting.clear();
    this.#subscriptions.clear();
    this.#forgetEarly();
  }
}

/** Turning an object of JSON into text can throw, and nobody catches what a socket's listener throws. */
const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number'
    ? escapeControls(`${value}`.slice(0, MAX_REASON_CHARACTERS))
    : '-';

/** Whether a text has so many parts that to parse it would be an attack. What looks like one inside of a string counts. */
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

function parseMessage(text: Buffer): Message | undefined {
  if (hasTooManyParts(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text.toString());
    // Every field of Message is optional and unknown inside, so any object is one.
    return typeof value === 'object' && value !== null ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}

function handshake(socket: WebSocket, endpoint: string, deadlineMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.terminate();
      reject(unavailable(`cannot connect to ${endpointName(endpoint)}: ${why}`));
    };
    const timer = setTimeout(() => fail(`no handshake within ${deadlineMs} ms`), deadlineMs);
    socket.once('open', () => {
      clearTimeout(timer);
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
  const socket = new WebSocket(options.endpoint, {
    handshakeTimeout: options.connectDeadlineMs,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  const exchange = new Exchange();
  let finish: (reason: string) => void = () => undefined;
  let closed = false;
  const ended = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const end = (reason: string): void => {
    if (closed) return;
    closed = true;
    exchange.fail(reason);
    finish(reason);
    socket.terminate();
  };
  // Attached before anything can fail: an 'error' event without listener would end the process.
  socket.on('error', (error) => end(`connection error: ${error.message}`));
  socket.on('close', (code) => end(`connection closed (${code})`));
  socket.on('message', (data, isBinary) => {
    // A Buffer unless another binaryType is chosen.
    const text = isBinary || !Buffer.isBuffer(data) ? undefined : data;
    const message = text === undefined ? undefined : parseMessage(text);
    if (text === undefined || message === undefined) end('the endpoint sent something that is not JSON-RPC');
    else exchange.receive(message, text.length);
  });
  const onAbort = (): void => end('aborted');
  options.signal?.addEventListener('abort', onAbort);
  void ended.then(() => options.signal?.removeEventListener('abort', onAbort));
  if (options.signal?.aborted === true) onAbort();
  await handshake(socket, options.endpoint, options.connectDeadlineMs);

  const request = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    if (closed) throw unavailable('the connection is closed');
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
    close: end,
  };
}
