import { describe, expect, it } from 'vitest';
import { parseDecoderAnswer } from '../../../src/chain/decoder-answer.ts';

const fields = ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'];
const layout = { serverInfo: fields, entropyTssIndex: 0, hasTimestamp: true };
const answer = (changes: object): unknown => ({ kind: 'layout', layout: { ...layout, ...changes } });
const extra = (part: unknown): unknown => answer({ serverInfo: [...fields, part] });
const byte = { kind: 'fixed', bytes: 1 };

const nested = (depth: number): unknown => {
  let part: unknown = byte;
  for (let level = 1; level < depth; level += 1) part = { kind: 'sequence', of: part };
  return part;
};

describe('the answer of a decoder process', () => {
  it.each<[string, unknown]>([
    ['no more than the fields that are read', answer({})],
    ['fixed bytes', extra({ kind: 'fixed', bytes: 65_536 })],
    ['a compact integer', extra({ kind: 'compact' })],
    ['a tuple', extra({ kind: 'tuple', parts: [byte, byte] })],
    ['an array', extra({ kind: 'array', length: 3, of: { kind: 'compact' } })],
    ['a choice', extra({ kind: 'choice', variants: [{ index: 255, parts: [] }] })],
    ['16 levels', extra(nested(16))],
    ['another form', { kind: 'shape', item: 'A.B', expected: 'x', observed: 'y' }],
    ['a reason', { kind: 'unusable', why: 'why' }],
  ])('with %s is accepted unchanged', (_name, value) => {
    expect(parseDecoderAnswer(JSON.stringify(value))).toEqual(value);
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a list', []],
    ['an unknown kind', { kind: 'other' }],
    ['a kind that is none', { kind: { toString: 1 } }],
    ['a field too many', { ...(answer({}) as object), more: 1 }],
    ['a field of the layout too many', answer({ more: 1 })],
    ['a field missing', { kind: 'layout', layout: { serverInfo: fields, hasTimestamp: true } }],
    ['a field twice', answer({ serverInfo: [...fields, 'endpoint'] })],
    ['three of the four fields', answer({ serverInfo: fields.slice(1) })],
    ['a name from the prototype', extra('constructor')],
    ['no list of fields', answer({ serverInfo: { length: 4 } })],
    ['an index above a byte', answer({ entropyTssIndex: 256 })],
    ['an index that is no integer', answer({ entropyTssIndex: 0.5 })],
    ['an index as text', answer({ entropyTssIndex: '0' })],
    ['a flag as a number', answer({ hasTimestamp: 1 })],
    ['parts of no bytes', extra({ kind: 'fixed', bytes: 0 })],
    ['parts of negative length', extra({ kind: 'fixed', bytes: -1 })],
    ['parts beyond any record', extra({ kind: 'fixed', bytes: 65_537 })],
    ['an empty tuple', extra({ kind: 'tuple', parts: [] })],
    ['an empty array', extra({ kind: 'array', length: 0, of: byte })],
    ['an endless array', extra({ kind: 'array', length: 2 ** 32, of: byte })],
    ['a variant above a byte', extra({ kind: 'choice', variants: [{ index: 256, parts: [] }] })],
    ['17 levels', extra(nested(17))],
    ['too many parts', extra({ kind: 'tuple', parts: Array.from({ length: 512 }, () => byte) })],
    ['too many variants', extra({ kind: 'choice', variants: Array(257).fill({ index: 0, parts: [] }) })],
    ['a reason without end', { kind: 'unusable', why: 'x'.repeat(501) }],
    ['a reason that is no text', { kind: 'unusable', why: 1 }],
  ])('with %s is refused', (_name, value) => {
    expect(() => parseDecoderAnswer(JSON.stringify(value))).toThrow(RangeError);
  });

  it('of deeply nested lists is refused without a crash', () => {
    expect(() => parseDecoderAnswer('['.repeat(32_000) + ']'.repeat(32_000))).toThrow(RangeError);
  });

  it('has its control characters escaped', () => {
    expect(parseDecoderAnswer(JSON.stringify({ kind: 'unusable', why: 'a\n\u001b[2J' }))).toEqual({
      kind: 'unusable',
      why: 'a\\u{a}\\u{1b}[2J',
    });
  });
});
