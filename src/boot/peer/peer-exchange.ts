import type { Clock } from '../../time/clock.ts';
import { withDeadline } from '../../time/clock.ts';
import { failureOf, PeerError, type PeerFailure } from './peer-failure.ts';
import type { PeerTransport } from './peer-transport.ts';

/** Sends a request to a peer and waits for its answer, no longer than a deadline in milliseconds. */
export class PeerExchange {
  readonly #transport: PeerTransport;
  readonly #clock: Clock;
  readonly #deadlineMs: number;

  constructor(options: {
    readonly transport: PeerTransport;
    readonly clock: Clock;
    readonly deadlineMs: number;
  }) {
    this.#transport = options.transport;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
  }

  /**
   * The JSON of the answer; a GET without a body, else a POST.
   * @throws PeerError when it is refused, or none came in time.
   */
  async send(
    { endpoint }: { readonly endpoint: string },
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const answer = await withDeadline(
      this.#clock,
      this.#deadlineMs,
      (abort) => this.#transport.send(endpoint, path, body, abort),
      signal,
    ).catch((error: unknown) => {
      throw new PeerError(failureOf(error), error);
    });
    if (answer === undefined) {
      throw new PeerError({ kind: 'unreachable', detail: `no answer within ${this.#deadlineMs} ms` });
    }
    if (answer.status === 200) return answer.body;
    throw new PeerError(refusalOf(answer.status, answer.body));
  }
}

function refusalOf(status: number, body: unknown): PeerFailure {
  const problem = typeof body === 'object' && body !== null ? body : {};
  const code =
    'code' in problem && typeof problem.code === 'string' ? problem.code.slice(0, 64) : `HTTP_${status}`;
  const detail =
    'detail' in problem && typeof problem.detail === 'string' ? problem.detail.slice(0, 500) : '';
  if (code === 'KEY_UNKNOWN' || code === 'LINEAGE_UNKNOWN')
    return { kind: 'forgot', detail: 'it knows no such key' };
  return { kind: 'refused', code, detail };
}
