import { concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import type { AccountId } from '../bytes/fixed-bytes.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { sha256 } from '../crypto/sha2.ts';
import { sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const REQUEST_LABEL = utf8('latchkey/v1/secret-request/');
/** How far the time of a request may be from the clock of the node. */
export const REQUEST_WINDOW_MS = 20_000;
/** Random bytes in a request. */
export const REQUEST_RANDOM_BYTES = 16;

/** Routes that users sign requests for. */
export type SecretRoute = 'deploy' | 'update' | 'delete' | 'request' | 'list';

/** What a user signs with a request, apart from its content. */
export interface RequestStatement {
  readonly route: SecretRoute;
  readonly user: AccountId;
  /** The node that is asked. */
  readonly node: AccountId;
  readonly timestampMs: number;
  /** 16 bytes. */
  readonly random: Uint8Array;
}

/** `<Bytes>`, label ‖ route ‖ 0 ‖ user ‖ node ‖ u64 time ‖ random ‖ SHA-256(content), `</Bytes>`. */
function requestMessage(statement: RequestStatement, content: Uint8Array): Uint8Array {
  const { route, user, node, timestampMs, random } = statement;
  if (random.length !== REQUEST_RANDOM_BYTES)
    throw new RangeError(`random must be ${REQUEST_RANDOM_BYTES} bytes, got ${random.length}`);
  const route0 = concatBytes(utf8(route), Uint8Array.of(0));
  const parts = [REQUEST_LABEL, route0, user, node, u64BigEndian(timestampMs), random, sha256(content)];
  return concatBytes(utf8('<Bytes>'), ...parts, utf8('</Bytes>'));
}

/** Signs a request with the 32-byte seed of its user; 64 bytes. */
export const signRequest = (
  seed: SecretBytes,
  statement: RequestStatement,
  content: Uint8Array,
): Uint8Array => sr25519Sign(seed.reveal(), requestMessage(statement, content));

/** What a node compares a request with. */
export interface RequestCheck {
  readonly node: AccountId;
  readonly route: SecretRoute;
  readonly nowMs: number;
  /** Whether a digest was recorded before, at this node before its last restart too; it records it. */
  readonly wasSeen: (digest: Uint8Array) => boolean | Promise<boolean>;
}

/**
 * Checks that a user signed this request for this node and route, just now, and that it comes for the first time.
 * @throws EvidenceError SECRET_OTHER_NODE, SECRET_REQUEST_STALE, SECRET_SIGNATURE_INVALID, SECRET_REQUEST_REPLAYED.
 */
export async function judgeRequest(
  statement: RequestStatement,
  content: Uint8Array,
  signature: Uint8Array,
  check: RequestCheck,
): Promise<void> {
  if (!equalBytes(statement.node, check.node) || statement.route !== check.route)
    throw new EvidenceError('SECRET_OTHER_NODE', 'the request names another node or route', {
      field: 'node',
    });
  const ageMs = check.nowMs - statement.timestampMs;
  if (Math.abs(ageMs) > REQUEST_WINDOW_MS) {
    throw new EvidenceError('SECRET_REQUEST_STALE', 'the time of the request is too far from the clock', {
      field: 'timestampMs',
      expected: `within ${REQUEST_WINDOW_MS} ms`,
      observed: `${ageMs} ms old`,
    });
  }
  const message = requestMessage(statement, content);
  if (!sr25519Verify(message, signature, statement.user))
    throw new EvidenceError('SECRET_SIGNATURE_INVALID', 'the user did not sign this', { field: 'signature' });
  // Not over the signature: an attacker who can change it would have a second request.
  if (await check.wasSeen(sha256(message)))
    throw new EvidenceError('SECRET_REQUEST_REPLAYED', 'this request was received before', {
      field: 'random',
    });
}
