import { concatBytes, utf8 } from '../../src/bytes/concat.ts';

/** X.690 tags that X.509 needs. */
const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One DER element: tag, definite length in its shortest form, content (X.690 sections 8.1.3 and 10.1). */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...content);
  return concatBytes(Uint8Array.of(tag), lengthBytes(body.length), body);
}

function lengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const digits = unsignedBytes(BigInt(length));
  return concatBytes(Uint8Array.of(0x80 | digits.length), digits);
}

function unsignedBytes(value: bigint): Uint8Array {
  const text = value.toString(16);
  return new Uint8Array(Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex'));
}

export const sequence = (...content: readonly Uint8Array[]): Uint8Array => element(tags.sequence, ...content);
export const set = (...content: readonly Uint8Array[]): Uint8Array => element(tags.set, ...content);
export const octetString = (content: Uint8Array): Uint8Array => element(tags.octetString, content);
export const utf8String = (text: string): Uint8Array => element(tags.utf8String, utf8(text));
export const printableString = (text: string): Uint8Array => element(tags.printableString, utf8(text));
export const boolean = (value: boolean): Uint8Array =>
  element(tags.boolean, Uint8Array.of(value ? 0xff : 0x00));
export const enumerated = (value: number): Uint8Array => element(tags.enumerated, Uint8Array.of(value));

/** `[number]` constructed, as X.509 uses for explicit tags and for GeneralNames. */
export const contextConstructed = (number: number, ...content: readonly Uint8Array[]): Uint8Array =>
  element(0xa0 | number, ...content);
/** `[number]` primitive, for implicit tags. */
export const contextPrimitive = (number: number, content: Uint8Array): Uint8Array =>
  element(0x80 | number, content);

/** A non-negative INTEGER, from a number or from big-endian bytes such as a serial number. */
export function integer(value: number | Uint8Array): Uint8Array {
  const wide = typeof value === 'number' ? BigInt(value) : BigInt(`0x${Buffer.from(value).toString('hex')}`);
  const digits = unsignedBytes(wide);
  // A leading one bit would make it negative (X.690 section 8.3.3).
  const first = digits[0] ?? 0;
  return element(tags.integer, first >= 0x80 ? concatBytes(Uint8Array.of(0), digits) : digits);
}

/** BIT STRING; `unusedBits` counts the bits of the last byte that do not belong to it. */
export const bitString = (content: Uint8Array, unusedBits = 0): Uint8Array =>
  element(tags.bitString, Uint8Array.of(unusedBits), content);

/** OBJECT IDENTIFIER from dotted text. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const arcs = [first * 40 + second, ...rest];
  return element(tags.objectIdentifier, ...arcs.map(base128));
}

function base128(arc: number): Uint8Array {
  const digits = [arc & 0x7f];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    digits.unshift((rest & 0x7f) | 0x80);
  }
  return Uint8Array.from(digits);
}

/** UTCTime until the end of 2049, GeneralizedTime after (RFC 5280 section 4.1.2.5). */
export function time(milliseconds: number): Uint8Array {
  const digits = `${new Date(milliseconds).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return Number(digits.slice(0, 4)) < 2050
    ? element(tags.utcTime, utf8(digits.slice(2)))
    : element(tags.generalizedTime, utf8(digits));
}
