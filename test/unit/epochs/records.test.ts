import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import {
  decodeEpochState,
  decodeEvent,
  decodePublicState,
  decodeShare,
  encodeEpochState,
  encodeEvent,
  encodePublicState,
  encodeShare,
  eventKinds,
} from '../../../src/epochs/epoch-record.ts';
import { RecordReader, RecordWriter } from '../../../src/epochs/record-codec.ts';
import { EvidenceError } from '../../../src/errors/latchkey-error.ts';
import { bytesOf, keyOf, secretOf } from '../../support/dkg-members.ts';

const malformed = expect.objectContaining({ code: 'EPOCH_ENCODING' });
const share = { index: 300, scalar: secretOf('scalar') };

describe('E1 epoch encode and decode, bad tag refused', () => {
  it.each([
    ['bare', { round: 0, rngSeed: secretOf('seed') }],
    ['with output', { round: 7, rngSeed: secretOf('seed'), output: bytesOf('output') }],
    ['with share', { round: 7, rngSeed: secretOf('seed'), share }],
    [
      'whole',
      { round: Number.MAX_SAFE_INTEGER, rngSeed: secretOf('seed'), output: new Uint8Array(0), share },
    ],
  ])('a state %s is decoded with equal fields', (_, state) => {
    const decoded = decodeEpochState(encodeEpochState(state), 1024);
    expect(decoded.round).toBe(state.round);
    expect(decoded.rngSeed.equals(state.rngSeed)).toBe(true);
    expect(decoded.output).toEqual('output' in state ? state.output : undefined);
    expect(decoded.share?.index).toBe('share' in state ? 300 : undefined);
    expect(encodeEpochState(decoded)).toEqual(encodeEpochState(state));
  });

  it('the order of the fields is round, seed, output, share', () => {
    const bytes = encodeEpochState({
      round: 258,
      rngSeed: secretOf('s'),
      output: Uint8Array.of(9, 8),
      share,
    });
    expect([...bytes.subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 1, 2]);
    expect(bytes.subarray(8, 40)).toEqual(bytesOf('s'));
    expect([...bytes.subarray(40, 44)]).toEqual([1, 2, 9, 8]);
    expect([...bytes.subarray(44, 47)]).toEqual([1, 0xac, 0x02]);
    expect(bytes.subarray(47)).toEqual(bytesOf('scalar'));
  });

  it('public states, shares and every kind of event are decoded unchanged', () => {
    expect(decodePublicState(encodePublicState({ round: 3, output: Uint8Array.of(1) }), 10)).toEqual({
      round: 3,
      output: Uint8Array.of(1),
    });
    expect(decodeShare(encodeShare(share)).scalar.equals(share.scalar)).toBe(true);
    for (const [tag, kind] of eventKinds.entries()) {
      const event = { kind, participant: keyOf('dealer'), message: Uint8Array.of(1, 2, 3) };
      expect(encodeEvent(event)[0]).toBe(tag);
      expect(decodeEvent(encodeEvent(event), 3)).toEqual(event);
    }
  });

  it.each([4, 5, 127, 255])('tag %i is refused', (tag) => {
    const bytes = encodeEvent({ kind: 'ack', participant: keyOf('p'), message: Uint8Array.of(1) });
    bytes[0] = tag;
    expect(() => decodeEvent(bytes, 10)).toThrow(malformed);
  });

  it('every truncation, any trailing byte, and a size above the bound are refused', () => {
    const event = encodeEvent({ kind: 'log', participant: keyOf('p'), message: bytesOf('m') });
    const state = encodeEpochState({ round: 1, rngSeed: secretOf('s'), output: bytesOf('o'), share });
    for (let end = 0; end < event.length; end++)
      expect(() => decodeEvent(event.subarray(0, end), 32)).toThrow(malformed);
    for (let end = 0; end < state.length; end++)
      expect(() => decodeEpochState(state.subarray(0, end), 32)).toThrow(malformed);
    expect(() => decodeEvent(Uint8Array.of(...event, 0), 32)).toThrow(malformed);
    expect(() => decodeEpochState(Uint8Array.of(...state, 0), 32)).toThrow(malformed);
    expect(() => decodeEvent(event, 31)).toThrow(malformed);
    expect(() => decodeEpochState(state, 31)).toThrow(malformed);
  });

  it('an option tag of 2, a padded varint, a varint of six bytes and one above 2^32 are refused', () => {
    for (const bytes of [
      [2],
      [0x80, 0x00],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0xff, 0xff, 0xff, 0xff, 0x7f],
    ]) {
      const reader = new RecordReader(Uint8Array.from(bytes), 'test');
      const read = bytes.length === 1 ? () => reader.option(() => 0) : () => reader.varint();
      expect(read).toThrow(malformed);
    }
    const tooLarge = new RecordReader(new Uint8Array(8).fill(0xff), 'test');
    expect(() => tooLarge.u64()).toThrow(malformed);
  });

  it('each value has one encoding: decoded bytes encode to the same bytes, and random bytes give a typed error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        try {
          expect(encodeEvent(decodeEvent(bytes, 100))).toEqual(bytes);
        } catch (error) {
          if (!(error instanceof EvidenceError)) throw error;
          expect(error.code).toBe('EPOCH_ENCODING');
        }
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), (value) => {
        const reader = new RecordReader(new RecordWriter().varint(value).finish(), 'test');
        expect(reader.varint()).toBe(value);
        reader.end();
      }),
    );
  });

  it('a writer refuses values that a reader would refuse', () => {
    expect(() => new RecordWriter().varint(2 ** 32)).toThrow(RangeError);
    expect(() => encodeShare({ index: 1, scalar: new SecretBytes(new Uint8Array(31)) })).toThrow(RangeError);
    const short = new SecretBytes(new Uint8Array(16));
    expect(() => encodeEpochState({ round: 0, rngSeed: short })).toThrow(RangeError);
  });
});
