import { setMaxListeners } from 'node:events';
import { toBase64 } from '../../bytes/base64.ts';
import { utf8 } from '../../bytes/concat.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import { type Clock, monotonicMsOf, systemClock } from '../../time/clock.ts';
import {
  authenticateAnswer,
  type EtcdHeader,
  type EtcdRange,
  errorAnswer,
  leaseAnswer,
  rangeAnswer,
  streamErrorAnswer,
  txnAnswer,
  type WatchResult,
  watchAnswer,
} from './etcd-answers.ts';
import { type EtcdExchange, EtcdHttp, type EtcdTls, type StreamEnd } from './etcd-http.ts';

/** Where a cluster is, and how this client shows who it is. */
export interface EtcdOptions {
  /** `http://host:port` or `https://host:port` of each member. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  /** For a cluster with authentication; the caller wipes the password after {@link EtcdClient.close}. */
  readonly user?: { readonly name: string; readonly password: SecretBytes };
  /** For one exchange with one member, in milliseconds (3000). */
  readonly requestTimeoutMs?: number;
  /** For one operation over all members, in milliseconds (10,000). */
  readonly operationTimeoutMs?: number;
}

/** JSON of a request, as etcd's gateway documents it. */
export type EtcdJson = Readonly<Record<string, unknown>>;

/** The result of a transaction. */
export interface TxnResult {
  readonly succeeded: boolean;
  readonly revision: number;
  /** The ranges of the branch that ran, in order. */
  readonly ranges: readonly EtcdRange[];
  /** An earlier attempt of this call may have been applied. */
  readonly mayBeRepeated: boolean;
}

/** An answer is larger than it may be: a reader of many keys asks for fewer. */
export class EtcdAnswerTooLarge extends ProblemError {
  constructor() {
    super('DECRYPTIONS_ENGINE_ANSWER_INVALID', `etcd gave an answer of more than ${MAX_ANSWER_BYTES} bytes`);
  }
}

/** What came of one attempt. */
type Attempt<T> =
  | { readonly kind: 'answer'; readonly answer: T }
  | { readonly kind: 'token' }
  | {
      readonly kind: 'again';
      readonly reason: string;
      readonly isInvalid: boolean;
      readonly isSent: boolean;
    };

/** The part of a zod schema that is used. */
interface Schema<T> {
  safeParse(value: unknown): { readonly success: true; readonly data: T } | { readonly success: false };
}

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const MAX_PAUSE_MS = 1000;
const FIRST_PAUSE_MS = 25;
const MAX_TOKENS = 3;
/** Codes of gRPC. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNAUTHENTICATED = 16;

/** A name or value in a request. */
export const etcdText = (text: string): string => toBase64(utf8(text));

/** The key after all keys with this prefix, which must end with a slash. */
export const etcdRangeEnd = (prefix: string): string => etcdText(`${prefix.slice(0, -1)}0`);

/**
 * A client of etcd's JSON gateway (v3): it goes on with another member where one fails, and every operation ends within
 * its timeout. Answers of another cluster than the first, and answers from before an earlier answer, are refused.
 */
export class EtcdClient {
  readonly #options: EtcdOptions;
  readonly #http: EtcdHttp;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #requestTimeoutMs: number;
  #endpoint = 0;
  /** One for all calls: etcd makes each token slowly. */
  #token: Promise<string> | undefined;
  /** The one in use, once it was made. */
  #tokenText: string | undefined;
  #clusterId: string | undefined;
  #highestRevision = 0;

  constructor(options: EtcdOptions, clock: Clock = systemClock) {
    this.#options = options;
    // One for each exchange that is under way.
    setMaxListeners(0, this.#closing.signal);
    this.#http = new EtcdHttp(options.tls);
    this.#clock = clock;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 3000;
  }

  /** Aborts when the client is closed. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Ends everything that is under way. */
  close(): void {
    this.#closing.abort();
    this.#http.close();
  }

  /** The keys of a range; as of the newest revision. @throws as {@link txn}, and EtcdAnswerTooLarge. */
  async range(request: EtcdJson): Promise<EtcdRange & { readonly revision: number }> {
    const { answer } = await this.#call('/v3/kv/range', request, rangeAnswer);
    return { ...answer, revision: answer.header.revision };
  }

  /**
   * A transaction. It may be sent more than once, so its comparisons must fail when it was applied before.
   * @throws ProblemError DECRYPTIONS_ENGINE_UNAVAILABLE, DECRYPTIONS_ENGINE_REFUSED, DECRYPTIONS_ENGINE_ANSWER_INVALID;
   *   EvidenceError BODY_TOO_LARGE; EtcdAnswerTooLarge.
   */
  async txn(request: EtcdJson): Promise<TxnResult> {
    const { answer, mayBeRepeated } = await this.#call('/v3/kv/txn', request, txnAnswer);
    const { succeeded, responses, header } = answer;
    const ranges = responses.flatMap(({ response_range: range }) => (range === undefined ? [] : [range]));
    return { succeeded, revision: header.revision, ranges, mayBeRepeated };
  }

  /** A new lease. @returns its id. @throws as {@link txn}. */
  async grantLease(seconds: number): Promise<string> {
    return (await this.#call('/v3/lease/grant', { TTL: String(seconds) }, leaseAnswer)).answer.ID;
  }

  /**
   * Follows a watch at one member until it fails, is silent, or `onResult` gives a reason to end it.
   * @param silenceMs ends a stream that says nothing for so long: a member that hangs looks the same.
   */
  async watch(
    request: EtcdJson,
    silenceMs: number,
    onResult: (result: WatchResult) => string | undefined,
  ): Promise<StreamEnd> {
    const endpoint = this.#endpoint;
    const headers = await this.#authorization().catch((error: Error) => error.message);
    if (typeof headers === 'string') return { kind: 'failed', reason: headers };
    let hasAnswered = false;
    const end = await this.#http.lines(
      {
        url: `${this.#options.endpoints[endpoint]}/v3/watch`,
        // A member without a leader ends the stream, and does not stay silent.
        headers: { ...headers, 'grpc-metadata-hasleader': 'true' },
        body: JSON.stringify({ create_request: request }),
        signal: this.#closing.signal,
      },
      { silenceMs, maxLineBytes: MAX_ANSWER_BYTES },
      (line) => {
        hasAnswered = true;
        return this.#watchLine(line, onResult, headers['authorization']);
      },
    );
    if (end.kind === 'silent' && hasAnswered) return end;
    this.#leave(endpoint);
    return end.kind === 'failed' ? end : { kind: 'failed', reason: `no answer within ${silenceMs} ms` };
  }

  #watchLine(
    line: string,
    onResult: (result: WatchResult) => string | undefined,
    usedToken: string | undefined,
  ): string | undefined {
    const value = parseJson(line);
    const answer = watchAnswer.safeParse(value);
    if (answer.success) {
      if (!this.#isOurCluster(answer.data.result)) return 'the answer is of another cluster';
      return onResult(answer.data.result);
    }
    const inStream = streamErrorAnswer.safeParse(value);
    const failure = inStream.success ? inStream.data.error : errorAnswer.safeParse(value).data;
    if (failure === undefined) return 'a line is no answer to a watch';
    if (isTokenRefusal(failure)) this.#leaveToken(usedToken);
    return failure.message;
  }

  async #call<T extends EtcdHeader>(
    path: string,
    request: EtcdJson,
    schema: Schema<T>,
    authorization: () => Promise<Readonly<Record<string, string>>> = () => this.#authorization(),
  ): Promise<{ readonly answer: T; readonly mayBeRepeated: boolean }> {
    const body = JSON.stringify(request);
    const endsAtMs = this.#nowMs() + (this.#options.operationTimeoutMs ?? 10_000);
    let mayBeRepeated = false;
    let tokens = 0;
    for (let attempt = 0; ; attempt += 1) {
      const headers = await authorization();
      const usedToken = headers['authorization'];
      const endpoint = this.#endpoint;
      const floor = this.#highestRevision;
      const outcome = this.#judge(await this.#post(endpoint, path, body, headers), schema, floor);
      if (outcome.kind === 'answer') return { answer: outcome.answer, mayBeRepeated };
      if (outcome.kind === 'token') {
        this.#leaveToken(usedToken);
        tokens += 1;
        // A token ends after some minutes; one that was just made does not.
        if (tokens > MAX_TOKENS) throw refused('it accepts no token of this user');
        continue;
      }
      mayBeRepeated ||= outcome.isSent;
      this.#leave(endpoint);
      const pauseMs = this.#pauseMs(attempt);
      if (this.#closing.signal.aborted || this.#nowMs() + pauseMs > endsAtMs) throw failed(outcome);
      await this.#clock.sleep(pauseMs, this.#closing.signal);
    }
  }

  #post(
    endpoint: number,
    path: string,
    body: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<EtcdExchange> {
    const url = `${this.#options.endpoints[endpoint]}${path}`;
    return this.#http.exchange(
      { url, headers, body, signal: this.#closing.signal },
      this.#requestTimeoutMs,
      MAX_ANSWER_BYTES,
    );
  }

  #judge<T extends EtcdHeader>(exchange: EtcdExchange, schema: Schema<T>, floor: number): Attempt<T> {
    if (exchange.kind === 'too-large') throw new EtcdAnswerTooLarge();
    if (exchange.kind === 'failed') return { ...exchange, kind: 'again', isInvalid: false };
    const value = parseJson(exchange.body);
    if (exchange.status !== 200) return judgeError(exchange.status, value);
    const parsed = schema.safeParse(value);
    if (!parsed.success) return invalid('an answer of another form');
    if (!this.#isOurCluster(parsed.data)) return invalid('an answer of another cluster');
    const { revision } = parsed.data.header;
    if (revision < floor) return invalid(`revision ${revision} after revision ${floor}`);
    this.#highestRevision = Math.max(this.#highestRevision, revision);
    return { kind: 'answer', answer: parsed.data };
  }

  /** The first answer says which cluster it is: endpoints of two clusters are a mistake that loses results. */
  #isOurCluster({ header }: EtcdHeader): boolean {
    this.#clusterId ??= header.cluster_id;
    return header.cluster_id === this.#clusterId;
  }

  async #authorization(): Promise<Readonly<Record<string, string>>> {
    const { user } = this.#options;
    if (user === undefined) return {};
    if (this.#token === undefined) {
      const making = this.#authenticate(user);
      this.#token = making;
      making.catch(() => {
        if (this.#token === making) this.#token = undefined;
      });
    }
    const making = this.#token;
    const authorization = await making;
    if (this.#token === making) this.#tokenText = authorization;
    return { authorization };
  }

  /** Calls under way are all refused when a token ends: the first of them leaves it, and none leaves the next one. */
  #leaveToken(used: string | undefined): void {
    if (used === undefined || used !== this.#tokenText) return;
    this.#token = undefined;
    this.#tokenText = undefined;
  }

  async #authenticate({ name, password }: NonNullable<EtcdOptions['user']>): Promise<string> {
    // etcd's gateway takes the password in JSON, so a text of it is made.
    const request = { name, password: new TextDecoder().decode(password.reveal()) };
    const made = await this.#call('/v3/auth/authenticate', request, authenticateAnswer, async () => ({}));
    return made.answer.token;
  }

  /** The other endpoints are tried at once, then ever later. */
  #pauseMs(attempt: number): number {
    const round = Math.floor((attempt + 1) / this.#options.endpoints.length);
    return round === 0 ? 0 : Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** round);
  }

  /** Goes on with the next endpoint, unless another call has done so. */
  #leave(endpoint: number): void {
    if (this.#endpoint === endpoint) this.#endpoint = (endpoint + 1) % this.#options.endpoints.length;
  }

  #nowMs(): number {
    return monotonicMsOf(this.#clock);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const invalid = (reason: string): Attempt<never> => ({
  kind: 'again',
  reason,
  isInvalid: true,
  isSent: true,
});

const isTokenRefusal = ({ message }: { readonly message: string }): boolean =>
  /invalid auth token|revision in header is old/.test(message);

function judgeError(status: number, value: unknown): Attempt<never> {
  const parsed = errorAnswer.safeParse(value);
  if (!parsed.success) return invalid(`status ${status} with an answer of another form`);
  const { code, message } = parsed.data;
  if (isTokenRefusal(parsed.data)) return { kind: 'token' };
  if (/request is too large/.test(message))
    throw new EvidenceError('BODY_TOO_LARGE', 'etcd takes no record of this size (--max-request-bytes)', {
      field: 'body',
    });
  const isFinal = [INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION, UNAUTHENTICATED];
  if (isFinal.includes(code) || /database space exceeded/.test(message)) throw refused(message);
  return { kind: 'again', reason: message, isInvalid: false, isSent: true };
}

const MAX_MESSAGE = 200;

const refused = (message: string): ProblemError =>
  new ProblemError('DECRYPTIONS_ENGINE_REFUSED', `etcd refused: ${message.slice(0, MAX_MESSAGE)}`);

function failed({ reason, isInvalid }: Extract<Attempt<never>, { kind: 'again' }>): ProblemError {
  const text = reason.slice(0, MAX_MESSAGE);
  return isInvalid
    ? new ProblemError('DECRYPTIONS_ENGINE_ANSWER_INVALID', `etcd gave ${text}`)
    : new ProblemError('DECRYPTIONS_ENGINE_UNAVAILABLE', `etcd cannot be reached: ${text}`);
}
