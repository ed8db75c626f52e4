import { toBase64 } from '../../bytes/base64.ts';
import { equalBytes, utf8 } from '../../bytes/concat.ts';
import type { AccountId, RecordId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { KeyedLock } from '../../store/keyed-lock.ts';
import { judgeUse } from '../judge-use.ts';
import {
  type OutgoingRequest,
  outgoingRequest,
  placesOf,
  type RequestPlaces,
} from '../relay/outgoing-request.ts';
import type { Relay } from '../relay/relay.ts';
import { secretId, type Target } from '../scope.ts';
import { decodeUse, type UseRequest } from '../use-request.ts';
import { revealValue, type SecretEntry } from '../value.ts';
import { readEntry, requireHolder, requireNearest, type SecretRing } from './secret-ring.ts';
import type { UsageCounts } from './usage-counts.ts';

const INTENT_LABEL = utf8('latchkey/v1/secret-intent');
const ATTEMPT_BYTES = 16;

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
  readonly #random: RandomSource;
  readonly #now: () => number;
  /** Of one secret, so that two uses at once are two counts. */
  readonly #uses = new KeyedLock<string>();

  constructor(parts: {
    readonly account: AccountId;
    readonly ring: () => SecretRing;
    readonly counts: UsageCounts;
    readonly relay: Relay;
    readonly random: RandomSource;
    readonly now: () => number;
  }) {
    this.#account = parts.account;
    this.#ring = parts.ring;
    this.#counts = parts.counts;
    this.#relay = parts.relay;
    this.#random = parts.random;
    this.#now = parts.now;
  }

  /**
   * Makes a request with a secret. Before anything is sent, the intent is recorded at a majority of the holders, and the
   * use is counted on the disk.
   * @param body of the route, {@link decodeUse}.
   * @throws what {@link decodeUse}, {@link placesOf}, {@link judgeUse}, {@link outgoingRequest} and the relay throw;
   *   RefusalError SECRET_NOT_HOLDER; ProblemError SECRET_OUTCOME_UNKNOWN, and those of the ring.
   */
  async use(caller: AccountId, body: Uint8Array): Promise<RelayedAnswer> {
    const request = decodeUse(body);
    const places = placesOf(request);
    requireHolder(this.#ring(), this.#account, request.id);
    const leave = this.#relay.enter(caller);
    try {
      const { outgoing, addresses } = await this.#admit(caller, request, places);
      const { status, headers, body: answer } = await this.#relay.call(outgoing, addresses);
      return { status, headers, body: toBase64(answer) };
    } finally {
      leave();
    }
  }

  async #admit(caller: AccountId, request: UseRequest, places: RequestPlaces): Promise<Admitted> {
    const entry = await readEntry(this.#ring(), request.id);
    if (entry === undefined || entry.record.content.kind === 'tombstone') {
      throw isOwn(caller, request.id, places.target)
        ? new RefusalError('SECRET_NOT_FOUND', 'there is no such secret')
        : stranger();
    }
    try {
      return await this.#uses.run(toHex(request.id), () => this.#judged(caller, request, places, entry));
    } finally {
      entry.salted.wipe();
    }
  }

  async #judged(
    caller: AccountId,
    request: UseRequest,
    places: RequestPlaces,
    entry: SecretEntry,
  ): Promise<Admitted> {
    const { content } = entry.record;
    const id = toHex(request.id);
    const periodMs = content.kind === 'secret' ? content.acl.limit?.periodMs : undefined;
    const counted = periodMs === undefined ? undefined : await this.#counts.get(id, periodMs);
    const count = judgeUse(content, { caller, verb: request.verb, ...places }, this.#now(), counted);
    if (count !== undefined) requireNearest(this.#ring(), this.#account, request.id);
    const outgoing = outgoingRequest(request, places, revealValue(entry));
    const addresses = await this.#relay.addressesOf(outgoing);
    await this.#claim(caller, request);
    if (count !== undefined && periodMs !== undefined)
      await this.#counts.put(id, periodMs, count, this.#now());
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
