import { createCipheriv } from 'node:crypto';

/** "expand 32-byte k", the first four words of every ChaCha20 state (RFC 8439 section 2.3). */
const SIGMA = Uint8Array.from('expand 32-byte k', (character) => character.charCodeAt(0));
const BLOCK_BYTES = 64;
const ZEROS = new Uint8Array(BLOCK_BYTES);

/**
 * HChaCha20 (draft-irtf-cfrg-xchacha-03 section 2.2): writes the 32-byte subkey into `subkey`.
 *
 * A ChaCha20 block is the state after 20 rounds plus the initial state (RFC 8439 section 2.3); HChaCha20 is the first
 * and the last four words without that addition. In these words the initial state is SIGMA and the nonce, both public.
 * So OpenSSL makes the block, in constant time, and the subtraction of bytes here never makes a number that V8 has to
 * allocate; 32-bit words of a key in JavaScript would.
 * @param key 32 bytes.
 * @param nonce the first 16 bytes of an XChaCha20 nonce.
 */
export function hchacha20(key: Uint8Array, nonce: Uint8Array, subkey: Uint8Array): void {
  // OpenSSL's "IV" is block counter ‖ nonce: all of the last four words.
  const block = createCipheriv('chacha20', key, nonce).update(ZEROS);
  subtractWords(block, 0, SIGMA, subkey, 0);
  subtractWords(block, BLOCK_BYTES - 16, nonce, subkey, 16);
  block.fill(0);
}

/** Subtracts four little-endian words modulo 2^32, byte by byte. */
function subtractWords(
  from: Uint8Array,
  fromAt: number,
  words: Uint8Array,
  into: Uint8Array,
  intoAt: number,
): void {
  for (let word = 0; word < 16; word += 4) {
    let borrow = 0;
    for (let byte = word; byte < word + 4; byte++) {
      const difference = (from[fromAt + byte] ?? 0) - (words[byte] ?? 0) - borrow;
      into[intoAt + byte] = difference & 0xff;
      borrow = (difference >> 8) & 1;
    }
  }
}
