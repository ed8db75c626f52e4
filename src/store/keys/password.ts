import { concatBytes, equalBytes, utf8 } from '../../bytes/concat.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { type RandomSource, systemRandom } from '../../crypto/random.ts';
import { type ScryptCost, scrypt } from '../../crypto/scrypt.ts';
import {
  XCHACHA_NONCE_BYTES,
  XCHACHA_TAG_BYTES,
  xchacha20Poly1305Open,
  xchacha20Poly1305Seal,
} from '../../crypto/xchacha20-poly1305.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';

/**
 * The password header, 101 bytes: `LKPW` ‖ version 1 ‖ log2 N ‖ r ‖ p ‖ salt (32) ‖ nonce (24) ‖ sealed store key
 * (32 + 16). The first 40 bytes are the associated data, so no parameter can be changed unnoticed.
 */
const MAGIC = utf8('LKPW');
const VERSION = 1;
const SALT_BYTES = 32;
const STORE_KEY_BYTES = 32;
const SALT_AT = 8;
const NONCE_AT = SALT_AT + SALT_BYTES;
const SEALED_AT = NONCE_AT + XCHACHA_NONCE_BYTES;

/** Length of every password header. */
export const PASSWORD_HEADER_BYTES = SEALED_AT + STORE_KEY_BYTES + XCHACHA_TAG_BYTES;

/** Longest password file that is read. */
export const MAX_PASSWORD_BYTES = 1024;

/** The lowest cost that is written; about 60 ms and 32 MiB. */
export const defaultScryptCost: ScryptCost = { logN: 15, r: 8, p: 1 };

/** A host that raised the cost beyond this could make the reader run out of memory (2^20 needs 1 GiB). */
const MAX_LOG_N = 20;

/**
 * The password in a file's bytes: all of them but one final newline (`\n` or `\r\n`), so that an editor's habit does
 * not change it.
 * @throws EvidenceError STORE_PASSWORD_INVALID when nothing is left, or over 1024 bytes.
 */
export function passwordFromFile(bytes: Uint8Array): SecretBytes {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  if (end === 0 || end > MAX_PASSWORD_BYTES) {
    throw new EvidenceError('STORE_PASSWORD_INVALID', `a password must be 1 to ${MAX_PASSWORD_BYTES} bytes`, {
      field: 'password-file',
      expected: `1 to ${MAX_PASSWORD_BYTES} bytes before the final newline`,
      observed: end === 0 ? 'none' : 'more',
    });
  }
  return new SecretBytes(bytes.subarray(0, end));
}

/**
 * Wraps a store key (32 bytes) under a password.
 * @returns the header's {@link PASSWORD_HEADER_BYTES} bytes, which are not secret.
 */
export async function wrapStoreKey(
  storeKey: SecretBytes,
  password: SecretBytes,
  { cost = defaultScryptCost, random = systemRandom }: { cost?: ScryptCost; random?: RandomSource } = {},
): Promise<Uint8Array> {
  if (storeKey.length !== STORE_KEY_BYTES) throw new RangeError('a store key is 32 bytes');
  if (cost.logN < defaultScryptCost.logN || cost.logN > MAX_LOG_N || cost.r !== 8 || cost.p !== 1)
    throw new RangeError(`scrypt cost must be log2 N ${defaultScryptCost.logN} to ${MAX_LOG_N}, r 8, p 1`);
  const parameters = Uint8Array.of(VERSION, cost.logN, cost.r, cost.p);
  const associatedData = concatBytes(MAGIC, parameters, random(SALT_BYTES));
  const nonce = random(XCHACHA_NONCE_BYTES);
  const key = await scrypt(password.reveal(), associatedData.subarray(SALT_AT), cost);
  try {
    const sealed = xchacha20Poly1305Seal(key, nonce, associatedData, storeKey.reveal());
    return concatBytes(associatedData, nonce, sealed);
  } finally {
    key.fill(0);
  }
}

/**
 * Gets the store key out of a password header.
 * @throws EvidenceError STORE_PASSWORD_HEADER when it is not a header that this version reads,
 *   STORE_PASSWORD_WRONG when it does not open.
 */
export async function unwrapStoreKey(header: Uint8Array, password: SecretBytes): Promise<SecretBytes> {
  const cost = readCost(header);
  const key = await scrypt(password.reveal(), header.subarray(SALT_AT, NONCE_AT), cost);
  try {
    const storeKey = xchacha20Poly1305Open(
      key,
      header.subarray(NONCE_AT, SEALED_AT),
      header.subarray(0, NONCE_AT),
      header.subarray(SEALED_AT),
    );
    if (storeKey !== undefined) return SecretBytes.adopt(storeKey);
  } finally {
    key.fill(0);
  }
  throw new EvidenceError('STORE_PASSWORD_WRONG', 'the password does not open this store', {
    field: 'password',
    hint: 'if the password is right, the password header was altered or belongs to another password',
  });
}

function readCost(header: Uint8Array): ScryptCost {
  if (header.length !== PASSWORD_HEADER_BYTES || !equalBytes(header.subarray(0, MAGIC.length), MAGIC))
    throw headerError('a password header', `${header.length} bytes that are not`);
  const [version = 0, logN = 0, r = 0, p = 0] = header.subarray(MAGIC.length, SALT_AT);
  if (version !== VERSION) throw headerError(`version ${VERSION}`, `version ${version}`);
  if (logN < defaultScryptCost.logN || logN > MAX_LOG_N || r !== 8 || p !== 1)
    throw headerError(`log2 N 15 to ${MAX_LOG_N}, r 8, p 1`, `log2 N ${logN}, r ${r}, p ${p}`);
  return { logN, r, p };
}

const headerError = (expected: string, observed: string): EvidenceError =>
  new EvidenceError('STORE_PASSWORD_HEADER', `the password header cannot be used: expected ${expected}`, {
    field: 'password header',
    expected,
    observed,
  });
