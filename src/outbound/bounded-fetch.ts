import { gatherBody } from '../bytes/gathered-bytes.ts';
import type {
  PlatformHeaders,
  PlatformRequestInit,
  PlatformResponse,
  PlatformSignal,
} from './platform-types.ts';

/** The part of `fetch` that is used; an argument, so that tests and simulations replace the network. */
export type Fetch = (url: string, init: PlatformRequestInit) => Promise<PlatformResponse>;

/** One request to a service that may hang, lie or send too much. */
export interface BoundedRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For the whole exchange, including the last byte of the body. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Ends the exchange early. */
  readonly signal?: PlatformSignal;
}

/** The result of a request; an answer with an error status is a result too. */
export type BoundedAnswer =
  | {
      readonly ok: true;
      readonly status: number;
      readonly headers: PlatformHeaders;
      readonly body: Uint8Array;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Fetches with a deadline and a cap on the body; follows no redirect, and never throws for what the other side does.
 * The deadline holds even against a `fetch` that ignores its signal.
 */
export async function boundedFetch(fetchLike: Fetch, request: BoundedRequest): Promise<BoundedAnswer> {
  const controller = new AbortController();
  let giveUp: (reason: string) => void = () => undefined;
  const givenUp = new Promise<BoundedAnswer>((resolve) => {
    giveUp = (reason) => {
      resolve({ ok: false, reason });
      controller.abort();
    };
  });
  const timer = setTimeout(
    () => giveUp(`no complete answer within ${request.timeoutMs} ms`),
    request.timeoutMs,
  );
  const cancel = () => giveUp('cancelled');
  request.signal?.addEventListener('abort', cancel, { once: true });
  if (request.signal?.aborted === true) cancel();
  try {
    return await Promise.race([givenUp, exchange(fetchLike, request, controller.signal)]);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener('abort', cancel);
  }
}

async function exchange(
  fetchLike: Fetch,
  request: BoundedRequest,
  signal: AbortSignal,
): Promise<BoundedAnswer> {
  try {
    const response = await fetchLike(request.url, {
      method: request.method,
      headers: { ...request.headers },
      redirect: 'error',
      signal,
      ...(request.body === undefined ? {} : { body: bodyOf(request.body) }),
    });
    // Counts while reading: a Content-Length may lie or be absent.
    const body = await gatherBody(response.body, request.maxBytes);
    if (body === undefined)
      return { ok: false, reason: `the answer is larger than ${request.maxBytes} bytes` };
    return { ok: true, status: response.status, headers: response.headers, body };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

/** `fetch` takes no view of shared memory, which this program never makes; TypeScript cannot tell the two apart here. */
const bodyOf = (body: string | Uint8Array): string | Uint8Array<ArrayBuffer> =>
  body as string | Uint8Array<ArrayBuffer>;

/** undici keeps the reason in the cause; its own message is `fetch failed`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message || cause.name}` : error.message;
}
