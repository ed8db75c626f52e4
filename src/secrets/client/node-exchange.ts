import { z } from 'zod';
import { parseBase64, toBase64 } from '../../bytes/base64.ts';
import type { AccountId, X25519PublicKey } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { generateEphemeralX25519KeyPair } from '../../crypto/x25519.ts';
import { type ErrorCode, errorCodes } from '../../errors/codes.ts';
import { type LatchkeyError, ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { boundedFetch, type Fetch } from '../../outbound/bounded-fetch.ts';
import { sealRequest } from '../sealed-messages.ts';
import { sealedBody } from '../service/secret-service.ts';
import { REQUEST_RANDOM_BYTES, type SecretRoute } from '../signed-request.ts';

/** Largest answer that a client reads: a relayed one with the largest body, twice in base64. */
const MAX_ANSWER_BYTES = 24 * 1024 * 1024;

/** A node as the chain registers it. */
export interface SecretNode {
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  /** `host:port`. */
  readonly endpoint: string;
}

/** The user who signs requests. */
export interface SecretOwner {
  readonly account: AccountId;
  /** sr25519, 32 bytes. */
  readonly seed: SecretBytes;
}

/** An error that a node gave under its seal, which proves that it is the answer of this node. */
export class NodeRefusal extends Error {
  override readonly name = 'NodeRefusal';
  readonly error: LatchkeyError;

  constructor(error: LatchkeyError) {
    super(error.message);
    this.error = error;
  }
}

/** One signed and sealed request to one node. */
export class NodeExchange {
  readonly #owner: SecretOwner;
  readonly #fetch: Fetch;
  readonly #random: RandomSource;
  readonly #now: () => number;
  readonly #timeoutMs: number;

  constructor(parts: {
    readonly owner: SecretOwner;
    readonly fetch: Fetch;
    readonly random: RandomSource;
    readonly now: () => number;
    readonly timeoutMs: number;
  }) {
    this.#owner = parts.owner;
    this.#fetch = parts.fetch;
    this.#random = parts.random;
    this.#now = parts.now;
    this.#timeoutMs = parts.timeoutMs;
  }

  /**
   * Asks a node that was attested.
   * @returns what it gave under its seal.
   * @throws NodeRefusal; ProblemError NODE_UNREACHABLE for everything that the node did not prove to be its answer.
   */
  async ask(node: SecretNode, route: SecretRoute, body: Uint8Array): Promise<unknown> {
    const statement = {
      route,
      user: this.#owner.account,
      node: node.account,
      timestampMs: this.#now(),
      random: this.#random(REQUEST_RANDOM_BYTES),
    };
    const { message, open } = sealRequest(statement, body, {
      node: node.x25519PublicKey,
      answerKey: generateEphemeralX25519KeyPair(),
      seed: this.#owner.seed,
    });
    const answer = await boundedFetch(this.#fetch, {
      url: `http://${node.endpoint}/secrets/${route}`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ enc: toPrefixedHex(message.enc), ciphertext: toBase64(message.ciphertext) }),
      timeoutMs: this.#timeoutMs,
      maxBytes: MAX_ANSWER_BYTES,
    });
    if (!answer.ok) throw unreachable(node, answer.reason);
    const plaintext = openAnswer(answer.body, open);
    if (plaintext === undefined) throw unreachable(node, `status ${answer.status}, not sealed by this node`);
    return contentOf(plaintext);
  }
}

/** Opens what came; `undefined` for everything else than the sealed answer of this node to this request. */
function openAnswer(
  bytes: Uint8Array,
  open: (answer: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array }) => Uint8Array | undefined,
): Uint8Array | undefined {
  try {
    const { enc, ciphertext } = sealedBody.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return open({ enc: parsePrefixedHex(enc, 32, 'enc'), ciphertext: parseBase64(ciphertext, 'ciphertext') });
  } catch {
    return undefined;
  }
}

const problemFields = z.looseObject({
  code: z.string(),
  status: z.int(),
  detail: z.string(),
  field: z.string().optional(),
  expected: z.string().optional(),
  observed: z.string().optional(),
  hint: z.string().optional(),
  retryAfterMs: z.number().optional(),
});
const answerFields = z.union([
  z.strictObject({ ok: z.unknown() }),
  z.strictObject({ problem: problemFields }),
]);

function contentOf(plaintext: Uint8Array): unknown {
  const content = answerFields.parse(JSON.parse(new TextDecoder().decode(plaintext)));
  plaintext.fill(0);
  if (!('problem' in content)) return content.ok;
  const { status, detail, code, field, expected, observed, hint, retryAfterMs } = content.problem;
  const known: ErrorCode = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'INTERNAL';
  const given = {
    ...(field === undefined ? {} : { field }),
    ...(expected === undefined ? {} : { expected }),
    ...(observed === undefined ? {} : { observed }),
    ...(hint === undefined ? {} : { hint }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
  const Family = status >= 500 ? ProblemError : RefusalError;
  throw new NodeRefusal(new Family(known, detail, given));
}

const unreachable = ({ endpoint }: SecretNode, observed: string): ProblemError =>
  new ProblemError('NODE_UNREACHABLE', `${endpoint} did not answer`, { observed });
