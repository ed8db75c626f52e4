import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { MAX_RECORDS, type RingReply, type RingRequest } from '../../../src/ring/replication/messages.ts';
import {
  decodeReply,
  decodeRequest,
  encodeMessage,
  MAX_MESSAGE_BYTES,
} from '../../../src/ring/replication/wire.ts';
import { codeOf } from '../../support/thrown.ts';

const [a, b] = ['aa'.repeat(32), 'bb'.repeat(32)];
const bytes = Uint8Array.of(1, 2, 255);
const status = { adopted: 7, complete: -1, draining: true, tooOld: [a] };
const requests: readonly RingRequest[] = [
  { kind: 'store', configuration: [[a], [a, b]], bytes },
  { kind: 'read', configuration: [[a, b]], id: b },
  { kind: 'compare', prefix: '0f', digest: a, without: [b] },
  { kind: 'fetch', ids: [a, b] },
  { kind: 'push', records: [bytes, bytes] },
  { kind: 'marks', after: '' },
  { kind: 'marks', after: a },
  { kind: 'repaired' },
  { kind: 'mark', configuration: [[a, b]], id: b, mark: a, attempt: '0f'.repeat(16) },
];
const replies: readonly RingReply[] = [
  { kind: 'stored' },
  { kind: 'marked', attempt: '0f'.repeat(16) },
  { kind: 'superseded', bytes },
  { kind: 'record', bytes },
  { kind: 'record', bytes: undefined },
  { kind: 'same' },
  { kind: 'list', listed: [[a, '00ff']] },
  { kind: 'split', digests: Array.from({ length: 16 }, () => b) },
  { kind: 'records', records: [bytes] },
  { kind: 'marks', marks: [{ id: a, mark: b, attempt: '0f'.repeat(16), atMs: 5 }], upTo: b },
  { kind: 'marks', marks: [], upTo: '' },
  { kind: 'done' },
  { kind: 'refused', code: 'RING_NOT_READY' },
];

describe('messages between nodes', () => {
  it.each(requests)('$kind is read as it was written', (message) => {
    expect(decodeRequest(encodeMessage({ status, message }))).toEqual({ status, message });
    expect(codeOf(() => decodeReply(encodeMessage({ status, message })))).toBe('FIELD_INVALID');
  });

  it.each(replies)('$kind, an answer, is read as it was written', (message) => {
    expect(decodeReply(encodeMessage({ status, message }))).toEqual({ status, message });
    expect(codeOf(() => decodeRequest(encodeMessage({ status, message })))).toBe('FIELD_INVALID');
  });

  it('that ask for more records than one message may are refused', () => {
    const ids = Array.from({ length: MAX_RECORDS + 1 }, () => a);
    const many: RingRequest = { kind: 'fetch', ids };
    expect(codeOf(() => decodeRequest(encodeMessage({ status, message: many })))).toBe('FIELD_INVALID');
    const push: RingRequest = { kind: 'push', records: ids.map(() => bytes) };
    expect(codeOf(() => decodeRequest(encodeMessage({ status, message: push })))).toBe('FIELD_INVALID');
  });

  it('with a code that this node does not know are refusals too', () => {
    const text = new TextDecoder().decode(
      encodeMessage({ status, message: { kind: 'refused', code: 'INTERNAL' } }),
    );
    const newer = utf8(text.replace('INTERNAL', 'FUTURE_CODE'));
    expect(decodeReply(newer).message).toEqual({ kind: 'refused', code: 'INTERNAL' });
  });

  it('with an unknown field, a wrong length or another form are refused', () => {
    const change = (from: string | RegExp, to: string) =>
      codeOf(() => decodeRequest(utf8(JSON.stringify({ status, message: requests[2] }).replace(from, to))));
    expect(change('zzz', '')).toBe('none');
    expect(change('{"status"', '{"more":1,"status"')).toBe('FIELD_INVALID');
    expect(change('"0f"', '"0F"')).toBe('FIELD_INVALID');
    expect(change(`"${b}"`, '"bb"')).toBe('FIELD_INVALID');
    expect(change('"complete":-1', '"complete":-2')).toBe('FIELD_INVALID');
    expect(codeOf(() => decodeRequest(new Uint8Array(MAX_MESSAGE_BYTES + 1)))).toBe('BODY_NOT_JSON');
    const bad = JSON.stringify({ status, message: { kind: 'push', records: ['AQI'] } });
    expect(codeOf(() => decodeRequest(utf8(bad)))).toBe('FIELD_INVALID');
  });

  it('of any bytes are read or refused by a code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (given) => {
        try {
          decodeRequest(given);
          decodeReply(given);
        } catch (error) {
          return error instanceof LatchkeyError;
        }
        return false;
      }),
    );
  });
});
