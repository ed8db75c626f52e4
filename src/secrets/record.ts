import { byteAt } from '../bytes/byte-at.ts';
import { compareBytes, concatBytes, equalBytes, utf8 } from '../bytes/concat.ts';
import { AccountId, type RecordId } from '../bytes/fixed-bytes.ts';
import { readU64BigEndian, u16BigEndian, u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { sha256 } from '../crypto/sha2.ts';
import { sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type Acl, decodeAcl, encodeAcl } from './acl.ts';
import type { SignatureCheck } from './remember-signatures.ts';
import { isNormalScope, type SecretScope, secretId } from './scope.ts';

const RECORD_LABEL = utf8('latchkey/v1/secret-record');
const FORMAT = 1;
const SIGNATURE_BYTES = 64;
const HASH_BYTES = 32;
/** Bytes before the origin: format, account, kind, version, expiry, hash. */
const HEAD_BYTES = 1 + AccountId.byteLength + 1 + 8 + 8 + HASH_BYTES;

/** Most bytes of a record without its value. */
export const MAX_RECORD_BYTES = 24_576;

/** What a user signs about one secret. Tombstones delete: they name no value and allow nothing. */
export type SecretContent = SecretScope & {
  /** The user, who owns the secret. */
  readonly account: AccountId;
  /** From 1; a larger one replaces a smaller one. */
  readonly version: number;
  readonly expiresAtMs: number;
} & (
    | {
        readonly kind: 'secret';
        /** SHA-256(salt ‖ value), 32 bytes. */
        readonly valueHash: Uint8Array;
        readonly acl: Acl;
      }
    | { readonly kind: 'tombstone' }
  );

/** In place of the hash of a value, so that a tombstone is above every secret of the same version. */
const TOMBSTONE_HASH = new Uint8Array(HASH_BYTES).fill(0xff);

const proofKey = Symbol('SecretRecord');

/** A record that its user signed. Made by {@link signRecord} and {@link decodeRecord} only. */
export class SecretRecord {
  readonly #proof = true;
  readonly content: SecretContent;
  readonly id: RecordId;
  /** Its encoding, signature included. */
  readonly bytes: Uint8Array;
  /** Order among records of one id: u64 version ‖ hash of the value ‖ SHA-256 of what is signed; 72 bytes, ascending. */
  readonly order: Uint8Array;

  constructor(key: typeof proofKey, content: SecretContent, body: Uint8Array, signature: Uint8Array) {
    if (key !== proofKey) throw new TypeError('a SecretRecord is made by signRecord and decodeRecord only');
    this.content = content;
    this.id = secretId(content.account, content);
    this.bytes = concatBytes(body, signature);
    this.order = concatBytes(u64BigEndian(content.version), hashOf(content), sha256(body));
    Object.freeze(this);
  }

  /** Whether a value is such a record: the check at run time that the type makes at compile time. */
  static isProof(value: unknown): value is SecretRecord {
    return typeof value === 'object' && value !== null && #proof in value && value.#proof;
  }
}

const hashOf = (content: SecretContent): Uint8Array =>
  content.kind === 'secret' ? content.valueHash : TOMBSTONE_HASH;

/** Positive when `a` replaces `b`, zero when they say the same. */
export const compareRecords = (a: SecretRecord, b: SecretRecord): number => compareBytes(a.order, b.order);

/**
 * What a user signs: `<Bytes>`, label ‖ body, `</Bytes>`; the brackets are Substrate's convention for bytes that are no
 * transaction.
 */
const signedMessage = (body: Uint8Array): Uint8Array =>
  concatBytes(utf8('<Bytes>'), RECORD_LABEL, body, utf8('</Bytes>'));

/**
 * Body of a record: u8 format (1) ‖ account ‖ u8 kind (0 secret, 1 tombstone) ‖ u64 version ‖ u64 expiry in milliseconds
 * ‖ hash of the value ‖ u16 length ‖ origin ‖ u16 length ‖ path prefix ‖ u16 length ‖ ACL. The id is not in it: it follows
 * from account and scope.
 */
function encodeBody(content: SecretContent): Uint8Array {
  const acl = content.kind === 'secret' ? encodeAcl(content.acl) : new Uint8Array(0);
  const texts = [utf8(content.origin), utf8(content.pathPrefix), acl];
  return concatBytes(
    Uint8Array.of(FORMAT),
    content.account,
    Uint8Array.of(content.kind === 'secret' ? 0 : 1),
    u64BigEndian(content.version),
    u64BigEndian(content.expiresAtMs),
    hashOf(content),
    ...texts.flatMap((text) => [u16BigEndian(text.length), text]),
  );
}

/**
 * Signs a record with the 32-byte seed of its user.
 * @throws EvidenceError SECRET_RECORD_INVALID when no node would accept the content.
 */
export function signRecord(seed: SecretBytes, content: SecretContent): SecretRecord {
  const body = encodeBody(content);
  return decodeRecord(concatBytes(body, sr25519Sign(seed.reveal(), signedMessage(body))));
}

/**
 * Reads a record, and only its one encoding, and verifies the signature of its user.
 * @param isSigned verifies it; a node remembers what it verified.
 * @throws EvidenceError SECRET_RECORD_INVALID, SECRET_SIGNATURE_INVALID.
 */
export function decodeRecord(bytes: Uint8Array, isSigned: SignatureCheck = sr25519Verify): SecretRecord {
  if (bytes.length < HEAD_BYTES + SIGNATURE_BYTES || bytes.length > MAX_RECORD_BYTES) {
    throw invalid(
      'length',
      `${HEAD_BYTES + SIGNATURE_BYTES} to ${MAX_RECORD_BYTES} bytes`,
      `${bytes.length}`,
    );
  }
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const signature = bytes.subarray(body.length);
  const content = decodeBody(body);
  if (!equalBytes(encodeBody(content), body)) throw invalid('body', 'the one encoding', 'another one');
  if (!isSigned(signedMessage(body), signature, content.account)) {
    throw new EvidenceError('SECRET_SIGNATURE_INVALID', 'the user did not sign this record', {
      field: 'signature',
      expected: 'sr25519, by the account of the record, over all of it',
    });
  }
  return new SecretRecord(proofKey, content, body, signature);
}

/**
 * What a record says, without verifying its signature: only for records that this node verified before.
 * @throws EvidenceError SECRET_RECORD_INVALID.
 */
export const peekRecord = (bytes: Uint8Array): SecretContent =>
  decodeBody(bytes.subarray(0, Math.max(0, bytes.length - SIGNATURE_BYTES)));

function decodeBody(body: Uint8Array): SecretContent {
  if (body[0] !== FORMAT) throw invalid('format', `${FORMAT}`, `${body[0]}`);
  const account = AccountId.of(body.subarray(1, 33));
  const kind = byteAt(body, 33);
  const version = safeInteger(body, 34, 'version');
  const expiresAtMs = safeInteger(body, 42, 'expiresAtMs');
  const valueHash = new Uint8Array(body.subarray(50, HEAD_BYTES));
  const [origin, pathPrefix, acl] = lastParts(body);
  const scope = { origin: asText(origin, 'origin'), pathPrefix: asText(pathPrefix, 'pathPrefix') };
  if (!isNormalScope(scope))
    throw invalid('origin', 'a normal http or https origin and path', 'another text');
  const common = { ...scope, account, version, expiresAtMs };
  if (kind === 1 && acl.length === 0) return { ...common, kind: 'tombstone' };
  if (kind !== 0) throw invalid('kind', '0, or 1 without an ACL', `${kind}`);
  if (equalBytes(valueHash, TOMBSTONE_HASH)) throw invalid('valueHash', 'a hash', 'that of a tombstone');
  return { ...common, kind: 'secret', valueHash, acl: decodeAcl(acl) };
}

/** Origin, path prefix and ACL, which fill the body exactly. */
function lastParts(body: Uint8Array): [origin: Uint8Array, pathPrefix: Uint8Array, acl: Uint8Array] {
  let at = HEAD_BYTES;
  const next = (): Uint8Array => {
    if (at + 2 > body.length) throw invalid('length', 'three parts', 'fewer');
    const end = at + 2 + byteAt(body, at) * 256 + byteAt(body, at + 1);
    if (end > body.length) throw invalid('length', 'parts within the record', 'a longer one');
    const part = body.subarray(at + 2, end);
    at = end;
    return part;
  };
  const parts: [Uint8Array, Uint8Array, Uint8Array] = [next(), next(), next()];
  if (at !== body.length) throw invalid('length', 'three parts', `${body.length - at} bytes more`);
  return parts;
}

function safeInteger(body: Uint8Array, at: number, field: string): number {
  const value = readU64BigEndian(body, at);
  if (value >= 1n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw invalid(field, '1 to 2^53 − 1', 'another number');
}

function asText(bytes: Uint8Array, field: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(field, 'UTF-8', 'other bytes');
  }
}

const invalid = (field: string, expected: string, observed: string): EvidenceError =>
  new EvidenceError('SECRET_RECORD_INVALID', `${field} of the record must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
