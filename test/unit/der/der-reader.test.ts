import { describe, expect, it } from 'vitest';
import { byteAt } from '../../../src/bytes/byte-at.ts';
import { DerReader, tags } from '../../../src/der/der-reader.ts';
import { codeOf } from '../../support/thrown.ts';

const context = { code: 'CERTIFICATE_MALFORMED', document: 'test document' } as const;
const reader = (...bytes: readonly number[]): DerReader => new DerReader(Uint8Array.from(bytes), context);
const isRefused = (call: () => unknown): void => expect(codeOf(call)).toBe('CERTIFICATE_MALFORMED');

describe('DER (X.690)', () => {
  it('8.1.3, 10.1: lengths are definite, minimal and within the input', () => {
    expect(reader(0x04, 0x02, 1, 2).octetString()).toEqual(Uint8Array.of(1, 2));
    const long = new DerReader(
      Uint8Array.from([0x04, 0x81, 0x80, ...new Array<number>(128).fill(7)]),
      context,
    );
    expect(long.octetString()).toHaveLength(128);
    const longer = new DerReader(
      Uint8Array.from([0x04, 0x82, 1, 0, ...new Array<number>(256).fill(7)]),
      context,
    );
    expect(longer.octetString(256)).toHaveLength(256);
    const longest = new Uint8Array(5 + 0x1_0000);
    longest.set([0x04, 0x83, 1, 0, 0]);
    expect(new DerReader(longest, context).octetString()).toHaveLength(0x1_0000);
    longest.set([0x04, 0x83, 0, 0xff, 0xff]);
    isRefused(() => new DerReader(longest, context).octetString());
    isRefused(() => reader(0x04, 0x80, 0, 0).octetString());
    isRefused(() => reader(0x04, 0x81, 0x7f, ...new Array<number>(127).fill(0)).octetString());
    isRefused(() => reader(0x04, 0x82, 0, 0x80, ...new Array<number>(128).fill(0)).octetString());
    isRefused(() => reader(0x04, 0x84, 0, 0, 0, 1, 5).octetString());
    isRefused(() => reader(0x04, 0x82, 1).octetString());
    isRefused(() => reader(0x04).octetString());
    isRefused(() => reader(0x04, 0x03, 1, 2).octetString());
    isRefused(() => reader().octetString());
    isRefused(() => reader(0x04, 0x01, 1).octetString(2));
  });

  it('8.1.3: an element ends within the one around it, also where more bytes follow', () => {
    const nested = (length: number): DerReader => reader(0x30, 0x04, 0x04, length, 1, 2, 0x04, 0x00).enter();
    expect(nested(2).octetString()).toEqual(Uint8Array.of(1, 2));
    isRefused(() => nested(4).octetString());
  });

  it('errors name the document, the position, the expected and the actual value', () => {
    try {
      reader(0x30, 0x03, 0x02, 0x01, 0x05).enter().contents(tags.octetString);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ field: 'test document', expected: 'tag 0x4', observed: 'tag 0x2' });
    }
  });

  it('trailing bytes are refused', () => {
    const outer = reader(0x30, 0x03, 0x02, 0x01, 0x05, 0x00);
    const inner = outer.enter();
    expect(inner.smallInteger(5)).toBe(5);
    inner.end();
    expect(outer.hasMore).toBe(true);
    isRefused(() => outer.end());
    expect(outer.enterOptional(tags.sequence)).toBeUndefined();
  });

  it('8.2, 11.1: BOOLEAN is 00 or FF', () => {
    expect(reader(0x01, 0x01, 0xff).boolean()).toBe(true);
    expect(reader(0x01, 0x01, 0x00).boolean()).toBe(false);
    isRefused(() => reader(0x01, 0x01, 0x01).boolean());
    isRefused(() => reader(0x01, 0x02, 0xff, 0xff).boolean());
    isRefused(() => reader(0x01, 0x00).boolean());
  });

  it('8.3: INTEGER is minimal, and negative numbers are refused', () => {
    expect(reader(0x02, 0x01, 0x00).unsignedInteger()).toEqual(Uint8Array.of(0));
    expect(reader(0x02, 0x02, 0x00, 0x80).unsignedInteger()).toEqual(Uint8Array.of(0x80));
    expect(reader(0x0a, 0x01, 0x02).smallInteger(2, tags.enumerated)).toBe(2);
    isRefused(() => reader(0x02, 0x00).unsignedInteger());
    isRefused(() => reader(0x02, 0x01, 0x80).unsignedInteger());
    isRefused(() => reader(0x02, 0x02, 0x00, 0x7f).unsignedInteger());
    isRefused(() => reader(0x02, 0x01, 0x03).smallInteger(2));
    isRefused(() => reader(0x02, 0x05, 1, 0, 0, 0, 0).smallInteger(0xffff_ffff));
  });

  it('8.6, 11.2: BIT STRING has a count of unused bits, and they are zero', () => {
    expect(reader(0x03, 0x02, 0x06, 0xc0).bitString()).toEqual({ bytes: Uint8Array.of(0xc0), unusedBits: 6 });
    expect(reader(0x03, 0x01, 0x00).bitString().bytes).toHaveLength(0);
    expect(reader(0x03, 0x02, 0x00, 0x01).byteString()).toEqual(Uint8Array.of(1));
    isRefused(() => reader(0x03, 0x02, 0x06, 0xe0).bitString());
    isRefused(() => reader(0x03, 0x02, 0x08, 0x00).bitString());
    isRefused(() => reader(0x03, 0x01, 0x01).bitString());
    isRefused(() => reader(0x03, 0x00).bitString());
    isRefused(() => reader(0x03, 0x02, 0x01, 0x80).byteString());
  });

  it('8.19: OBJECT IDENTIFIER arcs are minimal, complete and below 2^32', () => {
    expect(reader(0x06, 0x03, 0x55, 0x04, 0x03).oid()).toBe('2.5.4.3');
    expect(reader(0x06, 0x04, 0x2a, 0x86, 0x48, 0x01).oid()).toBe('1.2.840.1');
    expect(reader(0x06, 0x02, 0x88, 0x37).oid()).toBe('2.999');
    isRefused(() => reader(0x06, 0x00).oid());
    isRefused(() => reader(0x06, 0x02, 0x2a, 0x86).oid());
    isRefused(() => reader(0x06, 0x03, 0x2a, 0x80, 0x01).oid());
    isRefused(() => reader(0x06, 0x06, 0x2a, 0x90, 0x80, 0x80, 0x80, 0x00).oid());
  });

  it('reading a missing byte is misuse, and does not give zero', () => {
    expect(byteAt(Uint8Array.of(4), 0)).toBe(4);
    expect(() => byteAt(Uint8Array.of(4), 1)).toThrow(RangeError);
  });
});
