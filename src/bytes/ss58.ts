import { base58 } from '@scure/base';
import { blake2b512 } from '../crypto/blake2.ts';
import { concatBytes, equalBytes, utf8 } from './concat.ts';
import { Memo, memoKey } from './memo.ts';

/** Network prefix of generic Substrate accounts, which Entropy uses too. */
export const SS58_PREFIX = 42;
const CHECKSUM_BYTES = 2;
const ENCODED_BYTES = 1 + 32 + CHECKSUM_BYTES;

function checksum(prefixed: Uint8Array): Uint8Array {
  return blake2b512(utf8('SS58PRE'), prefixed).subarray(0, CHECKSUM_BYTES);
}

/** Result of reading SS58 text. */
export type DecodedSs58 =
  | { readonly ok: true; readonly accountId: Uint8Array }
  | { readonly ok: false; readonly reason: string };

/** Base58 takes quadratic time in JavaScript, and a server sees the same few accounts in every request. */
const encoded = new Memo<string>(1024);
const decoded = new Memo<DecodedSs58>(1024);

/** SS58 text of a 32-byte account id, with prefix 42. */
export const encodeSs58 = (accountId: Uint8Array): string =>
  encoded.get(memoKey(accountId), () => {
    const prefixed = concatBytes(Uint8Array.of(SS58_PREFIX), accountId);
    return base58.encode(concatBytes(prefixed, checksum(prefixed)));
  });

/** Reads SS58 text, or gives the reason why it is not valid. */
export function decodeSs58(text: string): DecodedSs58 {
  // An account never needs more than 50 characters.
  if (text.length > 64) return readSs58(text);
  const result = decoded.get(text, () => remembered(text, readSs58(text)));
  // The caller owns what it gets.
  return result.ok ? { ok: true, accountId: new Uint8Array(result.accountId) } : result;
}

/** An account has one valid text, so a text that was read is also remembered for writing. */
function remembered(text: string, result: DecodedSs58): DecodedSs58 {
  if (result.ok) encoded.get(memoKey(result.accountId), () => text);
  return result;
}

function readSs58(text: string): DecodedSs58 {
  if (text.length > 64) return { ok: false, reason: `SS58 text of ${text.length} characters is too long` };
  let bytes: Uint8Array;
  try {
    bytes = base58.decode(text);
  } catch {
    return { ok: false, reason: 'neither 0x hex nor base58' };
  }
  if (bytes.length !== ENCODED_BYTES) {
    return { ok: false, reason: `SS58 must hold ${ENCODED_BYTES} bytes, holds ${bytes.length}` };
  }
  if (bytes[0] !== SS58_PREFIX) return { ok: false, reason: `SS58 prefix ${bytes[0]} is not ${SS58_PREFIX}` };
  const prefixed = bytes.subarray(0, -CHECKSUM_BYTES);
  if (!equalBytes(checksum(prefixed), bytes.subarray(-CHECKSUM_BYTES))) {
    return { ok: false, reason: 'SS58 checksum does not match (mistyped?)' };
  }
  return { ok: true, accountId: new Uint8Array(prefixed.subarray(1)) };
}
