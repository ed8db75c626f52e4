import { byteAt } from './byte-at.ts';
import { SecretBytes } from './secret-bytes.ts';

const SECRET_BYTES = 32;
const ZERO_DIGIT = 0x30;
const QUOTE = 0x22;
const NO_NIBBLE = 0xff;

/** ASCII hex as bytes, two digits per byte: a string could not be wiped. */
export function hexAscii(bytes: Uint8Array): Uint8Array {
  const ascii = new Uint8Array(bytes.length * 2);
  let at = 0;
  for (const byte of bytes) {
    ascii[at++] = hexDigit(byte >>> 4);
    ascii[at++] = hexDigit(byte & 15);
  }
  return ascii;
}

// Without a branch: a host that sees which way a branch goes would read digit or letter of each half byte of the key.
const hexDigit = (value: number): number => value + 0x30 + (((9 - value) >> 31) & 0x27);

/**
 * Reads the hex of a secret field of 32 bytes from JSON text before the text is parsed, and overwrites it with zeros, so
 * that the secret never becomes a string. JSON with the field in another spelling is left unchanged.
 */
export function takeSecret(text: Uint8Array, field: string): SecretBytes | undefined {
  const prefix = `"${field}":"0x`;
  const start = Buffer.from(text.buffer, text.byteOffset, text.length).indexOf(prefix);
  if (start < 0) return undefined;
  const digits = text.subarray(start + prefix.length, start + prefix.length + 2 * SECRET_BYTES);
  const nibbles = Uint8Array.from(digits, nibbleOf);
  // Not where the text ends within the digits.
  const closed = text[start + prefix.length + digits.length] === QUOTE;
  if (nibbles.includes(NO_NIBBLE) || !closed) return undefined;
  const secret = Uint8Array.from(
    { length: SECRET_BYTES },
    (_, index) => (byteAt(nibbles, 2 * index) << 4) | byteAt(nibbles, 2 * index + 1),
  );
  digits.fill(ZERO_DIGIT);
  nibbles.fill(0);
  return SecretBytes.adopt(secret);
}

/** Value of an ASCII hex digit; without a branch, as {@link hexDigit}. */
function nibbleOf(ascii: number): number {
  const digit = ascii - 0x30;
  const letter = (ascii | 0x20) - 0x61;
  // All ones outside of 0 to 9 and of a to f, else 0.
  const noDigit = (digit | (9 - digit)) >> 31;
  const noLetter = (letter | (5 - letter)) >> 31;
  return (digit & ~noDigit) | ((letter + 10) & ~noLetter) | (NO_NIBBLE & noDigit & noLetter);
}
