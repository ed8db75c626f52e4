import { z } from 'zod';
import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import { utf8 } from '../../bytes/concat.ts';
import { type AccountId, RecordId } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toHex, toPrefixedHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { X25519KeyPair } from '../../crypto/x25519.ts';
import { EvidenceError, RefusalError } from '../../errors/latchkey-error.ts';
import { type Problem, problemOf } from '../../errors/problem.ts';
import type { Log } from '../../observe/log.ts';
import { parseWire } from '../../protocol/decode.ts';
import type { TokenBuckets } from '../../time/token-buckets.ts';
import { bodyOf, openRequest, type SignedMessage, sealAnswer } from '../sealed-messages.ts';
import { judgeRequest, type SecretRoute } from '../signed-request.ts';
import type { ReplayMemory } from './replay-memory.ts';
import type { SecretRing } from './secret-ring.ts';
import type { SecretUser } from './secret-user.ts';
import type { SecretWriter } from './secret-writer.ts';
import type { UserIndex } from './user-index.ts';

/** Most ids that one `list` names. */
export const MAX_ASKED_IDS = 64;

/** Body of a route for users' secrets, and its answer. */
export const sealedBody = z.strictObject({
  enc: z.string().meta({ description: '32 bytes, 0x and hex digits', pattern: '^0x[0-9a-fA-F]{64}$' }),
  ciphertext: z.string().meta({ description: 'HPKE ciphertext and tag', contentEncoding: 'base64' }),
});

/** What a sealed answer holds, as JSON. */
export type SealedContent = { readonly ok: unknown } | { readonly problem: Problem };

/** What a service is made of. */
export interface SecretServiceParts {
  /** This node: its account and its registered key. */
  readonly identity: { readonly account: AccountId; readonly x25519: X25519KeyPair };
  /** @throws ProblemError while this node has no place in the ring. */
  readonly ring: () => SecretRing;
  readonly index: UserIndex;
  readonly seen: ReplayMemory;
  readonly writer: SecretWriter;
  readonly user: SecretUser;
  /** One token for each request of an account. */
  readonly rate: TokenBuckets;
  readonly now: () => number;
  readonly log: Log;
  /** Called once for each request that opened, with `ok` or the code of the refusal. */
  readonly onAnswer: (route: SecretRoute, code: string) => void;
}

/** The routes of users' secrets: opens a request, proves its user, does what it asks, seals the answer. */
export class SecretService {
  readonly #parts: SecretServiceParts;

  constructor(parts: SecretServiceParts) {
    this.#parts = parts;
  }

  /**
   * Answers a request. Everything after the seal is answered under the seal, refusals too.
   * @param requestId for the log and for `instance` of a problem.
   * @throws EvidenceError FIELD_INVALID, SECRET_SEALING_WRONG, HPKE_PUBLIC_KEY_INVALID for what does not open.
   */
  async answer(route: SecretRoute, body: unknown, requestId: string): Promise<z.output<typeof sealedBody>> {
    const { identity, onAnswer } = this.#parts;
    const wire = parseWire(sealedBody, body);
    const message = {
      enc: parsePrefixedHex(wire.enc, 32, 'enc'),
      ciphertext: parseBase64(wire.ciphertext, 'ciphertext'),
    };
    const signed = openRequest(route, message, identity);
    const content = await this.#contentOf(route, signed, requestId);
    onAnswer(route, 'problem' in content ? content.problem.code : 'ok');
    const plaintext = utf8(JSON.stringify(content));
    const answer = sealAnswer(plaintext, { message, signed }, identity);
    plaintext.fill(0);
    signed.content.fill(0);
    return { enc: toPrefixedHex(answer.enc), ciphertext: toBase64(answer.ciphertext) };
  }

  async #contentOf(route: SecretRoute, signed: SignedMessage, requestId: string): Promise<SealedContent> {
    try {
      await this.#judge(route, signed);
      return { ok: await this.#serve(route, signed.statement.user, bodyOf(signed)) };
    } catch (error) {
      const problem = problemOf(error, requestId);
      if (problem.code === 'INTERNAL') this.#logFailure(error, requestId);
      return { problem };
    }
  }

  async #judge(route: SecretRoute, { statement, content, signature }: SignedMessage): Promise<void> {
    const { identity, seen, rate, now } = this.#parts;
    const nowMs = now();
    await judgeRequest(statement, content, signature, {
      node: identity.account,
      route,
      nowMs,
      wasSeen: async (digest) => {
        // Before the rate: a request that somebody else sends again must not take its user's tokens.
        if (seen.isRecorded(digest)) return true;
        // After the signature: only a user can spend its own tokens.
        const waitMs = rate.take(toHex(statement.user), nowMs);
        if (waitMs > 0)
          throw new RefusalError('RATE_LIMITED', 'too many requests of this account', {
            retryAfterMs: waitMs,
          });
        return seen.wasSeen(digest, statement.timestampMs, nowMs);
      },
    });
  }

  async #serve(route: SecretRoute, user: AccountId, body: Uint8Array): Promise<unknown> {
    switch (route) {
      case 'deploy':
      case 'update':
      case 'delete':
        return this.#parts.writer.write(route, user, body);
      case 'request':
        return this.#parts.user.use(user, body);
      case 'list':
        return this.#list(user, askedIds(body));
    }
  }

  /**
   * Signed records of a user, so that a client need not believe this node; and who holds each id, nearest first, so that a
   * client need not know the ring.
   * @param ids only these; without one, all of the user.
   */
  async #list(user: AccountId, ids: readonly RecordId[]): Promise<unknown> {
    const { index, ring } = this.#parts;
    const { placement } = ring().view;
    const asked = new Set(ids.map(toHex));
    const listed = index.of(user).filter(({ id }) => asked.size === 0 || asked.has(id));
    const records = await Promise.all(listed.map(({ id }) => index.recordOf(id)));
    const holders = (id: RecordId) => placement.replicasOf(id).map(({ account }) => encodeSs58(account));
    return {
      records: records.filter((record) => record !== undefined).map(toBase64),
      holders: Object.fromEntries(ids.map((id) => [toPrefixedHex(id), holders(id)])),
    };
  }

  /** The text of an unexpected error may have a part of the request; its kind and its place have none. */
  #logFailure(error: unknown, requestId: string): void {
    const frames = error instanceof Error ? (error.stack ?? '').split('\n') : [];
    this.#parts.log('error', 'secrets.failed', {
      requestId,
      error: error instanceof Error ? error.name : typeof error,
      at: frames.filter((line) => line.startsWith('    at ')).slice(0, 8),
    });
  }
}

/** @throws EvidenceError FIELD_INVALID. */
function askedIds(body: Uint8Array): readonly RecordId[] {
  const count = body.length / RecordId.byteLength;
  if (Number.isInteger(count) && count <= MAX_ASKED_IDS)
    return Array.from({ length: count }, (_, at) => RecordId.of(body.subarray(32 * at, 32 * (at + 1))));
  throw new EvidenceError('FIELD_INVALID', 'the content of a list is ids', {
    field: 'content',
    expected: `at most ${MAX_ASKED_IDS} ids of 32 bytes`,
    observed: `${body.length} bytes`,
  });
}
