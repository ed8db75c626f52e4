import { createCipheriv } from 'node:crypto';
import { CHACHA_BLOCK_BYTES, chachaRounds, RESULT_AT, STATE_AT } from './chacha-rounds.ts';

/** "expand 32-byte k", the first four words of every ChaCha20 state (RFC 8439 section 2.3). */
const SIGMA = Uint8Array.from('expand 32-byte k', (character) => character.charCodeAt(0));
const ZEROS = new Uint8Array(CHACHA_BLOCK_BYTES);
/** Bytes of the state before the key, of the key, and where the last four words are: counter and nonce. */
const KEY_AT = STATE_AT + 16;
const LAST_WORDS_AT = STATE_AT + 48;
const XCHACHA_NONCE_BYTES = 24;
/** All that may have become secret in the memory of the rounds. */
const USED_BYTES = RESULT_AT + CHACHA_BLOCK_BYTES;

/**
 * HChaCha20 (draft-irtf-cfrg-xchacha-03 section 2.2): writes the 32-byte subkey into `subkey`. It is the first and the
 * last four words of the state after 20 rounds.
 * @param key 32 bytes.
 * @param nonce the first 16 bytes of an XChaCha20 nonce.
 */
export function hchacha20(key: Uint8Array, nonce: Uint8Array, subkey: Uint8Array): void {
  const engine = chachaRounds();
  if (engine === undefined) {
    hchacha20ByOpenSsl(key, nonce, subkey);
    return;
  }
  const { memory, rounds } = engine;
  memory.set(SIGMA, STATE_AT);
  memory.set(key, KEY_AT);
  memory.set(nonce, LAST_WORDS_AT);
  rounds(0);
  for (let at = 0; at < 16; at++) {
    subkey[at] = memory[RESULT_AT + at] ?? 0;
    subkey[16 + at] = memory[RESULT_AT + 48 + at] ?? 0;
  }
  memory.fill(0, 0, USED_BYTES);
}

/**
 * Decrypts the first bytes of a message of XChaCha20-Poly1305, at most one block (64 bytes), without checking its tag.
 * @param sealed nonce (24) ‖ ciphertext ‖ tag.
 * @param into gets the first `length` bytes.
 * @returns false where the engine cannot; then nothing was done.
 */
export function decryptFirstBlock(
  key: Uint8Array,
  sealed: Uint8Array,
  into: Uint8Array,
  length: number,
): boolean {
  const engine = chachaRounds();
  if (engine === undefined) return false;
  const { memory, rounds } = engine;
  memory.set(SIGMA, STATE_AT);
  memory.set(key, KEY_AT);
  for (let at = 0; at < 16; at++) memory[LAST_WORDS_AT + at] = sealed[at] ?? 0;
  rounds(0);
  memory.copyWithin(KEY_AT, RESULT_AT, RESULT_AT + 16);
  memory.copyWithin(KEY_AT + 16, RESULT_AT + 48, RESULT_AT + CHACHA_BLOCK_BYTES);
  // Block 0 of the key stream makes the Poly1305 key (RFC 8439 section 2.8), the message starts at block 1. The nonce is
  // four zero bytes and the last eight of the long one.
  memory.fill(0, LAST_WORDS_AT, LAST_WORDS_AT + 8);
  memory[LAST_WORDS_AT] = 1;
  for (let at = 8; at < 16; at++) memory[LAST_WORDS_AT + at] = sealed[8 + at] ?? 0;
  rounds(-1);
  for (let at = 0; at < length; at++)
    into[at] = (sealed[XCHACHA_NONCE_BYTES + at] ?? 0) ^ (memory[RESULT_AT + at] ?? 0);
  memory.fill(0, 0, USED_BYTES);
  return true;
}

/**
 * HChaCha20 where the engine has no WebAssembly; exported for the test that compares both.
 *
 * A ChaCha20 block is the state after 20 rounds plus the initial state (RFC 8439 section 2.3); HChaCha20 is the first
 * and the last four words without that addition. In these words the initial state is SIGMA and the nonce, both public.
 * So OpenSSL makes the block, in constant time, and the subtraction of bytes here never makes a number that V8 has to
 * allocate; 32-bit words of a key in JavaScript would.
 */
export function hchacha20ByOpenSsl(key: Uint8Array, nonce: Uint8Array, subkey: Uint8Array): void {
  // OpenSSL's "IV" is block counter ‖ nonce: all of the last four words.
  const block = createCipheriv('chacha20', key, nonce).update(ZEROS);
  subtractWords(block, 0, SIGMA, subkey, 0);
  subtractWords(block, CHACHA_BLOCK_BYTES - 16, nonce, subkey, 16);
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
