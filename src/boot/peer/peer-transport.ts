import { gatherBody } from '../../bytes/gathered-bytes.ts';
import { PeerError } from './peer-failure.ts';

/** Largest answer that is read from a peer, in bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** An answer of a peer: status and parsed JSON. */
export interface PeerAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Carries one request to a peer; a simulation brings its own. */
export interface PeerTransport {
  /**
   * Sends JSON to `http://endpoint/path`, or asks for it when there is no body.
   * @throws PeerError `unreachable` or `garbage`.
   */
  send(endpoint: string, path: string, body: unknown, signal: AbortSignal): Promise<PeerAnswer>;
}

/** The transport over HTTP. Answers authenticate themselves, so the connection need not. */
export function fetchTransport(fetchFunction: typeof fetch = fetch): PeerTransport {
  return {
    async send(endpoint, path, body, signal) {
      const init: RequestInit =
        body === undefined
          ? { signal, redirect: 'error' }
          : {
              method: 'POST',
              headers: { 'content-type': 'application/json', ...urgency(body) },
              body: JSON.stringify(body),
              signal,
              redirect: 'error',
            };
      let response: Response;
      try {
        response = await fetchFunction(`http://${endpoint}${path}`, init);
      } catch (error) {
        throw new PeerError({ kind: 'unreachable', detail: reasonOf(error) }, error);
      }
      return { status: response.status, body: await readJson(response) };
    },
  };
}

/** A node that needs the answer to open its store says so in the head, which a busy server reads before the body (RFC 9218). */
const urgency = (body: unknown): Readonly<Record<string, string>> =>
  typeof body === 'object' && body !== null && 'intent' in body && body.intent === 'recover'
    ? { priority: 'u=0' }
    : {};

/** `fetch` hides the reason (ECONNREFUSED…) in a chain of causes. */
function reasonOf(error: unknown): string {
  let deepest: unknown = error;
  while (deepest instanceof Error && deepest.cause !== undefined) deepest = deepest.cause;
  if (deepest instanceof Error) {
    return 'code' in deepest && typeof deepest.code === 'string' ? deepest.code : deepest.message;
  }
  return String(deepest);
}

async function readJson(response: Response): Promise<unknown> {
  const text = await gatherBody(response.body, MAX_ANSWER_BYTES).catch((error: unknown) => {
    throw new PeerError({ kind: 'unreachable', detail: reasonOf(error) }, error);
  });
  if (text === undefined) throw new PeerError({ kind: 'garbage', detail: 'answer is too large' });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (error) {
    throw new PeerError(
      { kind: 'garbage', detail: `answer with status ${response.status} is not JSON` },
      error,
    );
  }
}
