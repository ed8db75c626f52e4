import { toBase64 } from '../../bytes/base64.ts';
import { equalBytes, utf8 } from '../../bytes/concat.ts';
import type { AccountId, RecordId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { KeyedLock } from '../../store/keyed-lock.ts';
import { judgeUse, type UsageCount } from '../judge-use.ts';
import {
  type OutgoingRequest,
  outgoingRequest,
  placesOf,
  type RequestPlaces,
} from '../relay/outgoing-request.ts';
import type { Relay } from '../relay/relay.ts';
import type { SignatureCheck } from '../remember-signatures.ts';
import { secretId, type Target } from '../scope.ts';
import { decodeUse, type UseRequest } from '../use-request.ts';
import { revealValue, type SecretEntry } from '../value.ts';
import { readEntry, requireHolder, requireNearest, type SecretRing } from './secret-ring.ts';
import type { UsageCounts } from './usage-counts.ts';

const INTENT_LABEL = utf8('latchkey/v1/secret-intent');
const ATTEMPT_BYTES = 16;
/**
 * After this time a caller is refused whom the ACL does not name, whether there is a secret or not. Reading a record takes
 * longer than finding none, here and at the other holders, and its length counts too: equal work cannot be had.
 */
const STRANGER_REFUSED_AFTER_MS = 1_000;

/** What the upstream said; the body in base64. */
export interface RelayedAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** A request that may be made now: judged, marked and counted. */
interface Admitted {
  readonly outgoing: OutgoingRequest;
  readonly addresses: readonly string[];
}

/** Uses secrets for their callers. */
export class SecretUser {
  readonly #account: AccountId;
  readonly #ring: () => SecretRing;
  readonly #counts: UsageCounts;
  readonly #relay: Relay;
  readonly #isSigned: SignatureCheck;
  readonly #random: RandomSource;
  readonly #now: () => number;
  readonly #blockMs: () => number;
  readonly #sleep: (milliseconds: number) => Promise<void>;
  /** Of one secret with a limit, so that two uses at once are two counts. */
  readonly #uses = new KeyedLock<string>();

  constructor(parts: {
    readonly account: AccountId;
    readonly ring: () => SecretRing;
    readonly counts: UsageCounts;
    readonly relay: Relay;
    readonly isSigned: SignatureCheck;
    readonly random: RandomSource;
    readonly now: () => number;
    readonly blockMs: () => number;
    readonly sleep: (milliseconds: number) => Promise<void>;
  }) {
    this.#account = parts.account;
    this.#ring = parts.ring;
    this.#counts = parts.counts;
    this.#relay = parts.relay;
    this.#isSigned = parts.isSigned;
    this.#random = parts.random;
    this.#now = parts.now;
    this.#blockMs = parts.blockMs;
    this.#sleep = parts.sleep;
  }

  /**
   * Makes a request with a secret. Before anything is sent, the intent is recorded at a majority of the holders, and the
   * use is counted on the disk.
   * @param body of the route, {@link decodeUse}.
   * @throws what {@link decodeUse}, {@link placesOf}, {@link judgeUse}, {@link outgoingRequest} and the relay throw;
   *   RefusalError SECRET_NOT_HOLDER; ProblemError SECRET_OUTCOME_UNKNOWN, and those of the ring.
   */
  async use(caller: AccountId, body: Uint8Array): Promise<RelayedAnswer> {
    const startedAtMs = this.#now();
    try {
      return await this.#use(caller, body);
    } catch (error) {
      if (error instanceof RefusalError && error.code === 'SECRET_CALLER_REFUSED')
        await this.#sleep(STRANGER_REFUSED_AFTER_MS - this.#sinceMs(startedAtMs));
      throw error;
    }
  }

  async #use(caller: AccountId, body: Uint8Array): Promise<RelayedAnswer> {
    const request = decodeUse(body);
    const places = placesOf(request);
    requireHolder(this.#ring(), this.#account, request.id);
    const taken = [this.#relay.enter(caller)];
    try {
      const entry = await this.#entryOf(caller, request, places);
      const { outgoing, addresses } = await this.#admit(caller, request, places, entry, taken).finally(() =>
        entry.salted.wipe(),
      );
      const { status, headers, body: answer } = await this.#relay.call(outgoing, addresses);
      return { status, headers, body: toBase64(answer) };
    } finally {
      for (const leave of taken) leave();
    }
  }

  /** At most the time of the refusal, so that a clock which was set back does not make it later. */
  #sinceMs(startedAtMs: number): number {
    return Math.min(Math.max(this.#now() - startedAtMs, 0), STRANGER_REFUSED_AFTER_MS);
  }

  async #entryOf(caller: AccountId, { id }: UseRequest, { target }: RequestPlaces): Promise<SecretEntry> {
    const entry = await readEntry(this.#ring(), id, this.#isSigned);
    if (entry !== undefined && entry.record.content.kind === 'secret') return entry;
    throw isOwn(caller, id, target)
      ? new RefusalError('SECRET_NOT_FOUND', 'there is no such secret')
      : stranger();
  }

  /** @param taken places of the request; that of the owner of the secret is added. */
  async #admit(
    caller: AccountId,
    request: UseRequest,
    places: RequestPlaces,
    entry: SecretEntry,
    taken: (() => void)[],
  ): Promise<Admitted> {
    const { content } = entry.record;
    const id = toHex(request.id);
    const periodMs = content.kind === 'secret' ? content.acl.limit?.periodMs : undefined;
    const judged = async (): Promise<UsageCount | undefined> => {
      const counted = periodMs === undefined ? undefined : await this.#counts.get(id, periodMs);
      return judgeUse(
        content,
        { caller, verb: request.verb, ...places },
        { nowMs: this.#now(), blockMs: this.#blockMs() },
        counted,
      );
    };
    // First, and alone: a stranger must not wait for what callers do.
    if ((await judged()) !== undefined) requireNearest(this.#ring(), this.#account, request.id);
    taken.push(this.#relay.enterFor(content.account));
    const outgoing = outgoingRequest(request, places, revealValue(entry));
    const addresses = await this.#relay.addressesOf(outgoing);
    const begin = async (): Promise<void> => {
      const count = await judged();
      await this.#claim(caller, request);
      if (count !== undefined && periodMs !== undefined)
        await this.#counts.put(id, periodMs, count, this.#blockMs());
    };
    await (periodMs === undefined ? begin() : this.#uses.run(id, begin));
    return { outgoing, addresses };
  }

  /** Records the intent. A crash after it leaves the mark: it is not known then whether the upstream was asked. */
  async #claim(caller: AccountId, { id, idempotencyKey }: UseRequest): Promise<void> {
    const mark = toHex(sha256(INTENT_LABEL, id, caller, idempotencyKey));
    if (await this.#ring().mark(id, mark, toHex(this.#random(ATTEMPT_BYTES)))) return;
    throw new ProblemError('SECRET_OUTCOME_UNKNOWN', 'this request was begun before, and is not made again', {
      field: 'idempotencyKey',
      hint: 'look at the upstream; if it may act twice, ask again with another key',
    });
  }
}

/** Whether an id is one of the caller for this URL: a caller who asks for a secret of another one does not learn that it is missing. */
function isOwn(caller: AccountId, id: RecordId, { origin, path }: Target): boolean {
  const segments = path.split('/').slice(1);
  const prefixes = segments.map((_, count) => `/${segments.slice(0, count + 1).join('/')}`);
  return ['/', ...prefixes].some((pathPrefix) => equalBytes(secretId(caller, { origin, pathPrefix }), id));
}

const stranger = (): RefusalError =>
  new RefusalError('SECRET_CALLER_REFUSED', 'the caller is not in the ACL', { field: 'caller' });
