import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseCcel } from '../../../src/tdx/ccel.ts';
import { parseDstackLog } from '../../../src/tdx/dstack-log.ts';
import { replayEvents, requireEvents } from '../../../src/tdx/event-log.ts';
import { parseQuote } from '../../../src/tdx/quote.ts';
import { plainQuote } from '../../support/tdx-world.ts';
import { codeOf, thrownBy } from '../../support/thrown.ts';

const sha384 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const SHA384 = 0x0c;
const SHA256 = 0x0b;

interface SpecId {
  readonly type?: number;
  readonly signature?: string;
  readonly algorithms?: readonly (readonly [number, number])[];
}
/** The first entry of a log. */
function specId({ type = 3, signature = 'Spec ID Event03\0', algorithms = [[SHA384, 48]] }: SpecId = {}) {
  const sizes = algorithms.flatMap(([algorithm, size]) => [u16(algorithm), u16(size)]);
  const event = Buffer.concat([
    Buffer.from(signature),
    Buffer.alloc(8),
    u32(algorithms.length),
    ...sizes,
    Buffer.alloc(1),
  ]);
  return Buffer.concat([u32(0), u32(type), Buffer.alloc(20), u32(event.length), event]);
}
/** A later entry. */
function entry(
  register: number,
  type: number,
  digests: readonly (readonly [number, Buffer])[],
  content: Buffer,
) {
  const written = digests.flatMap(([algorithm, digest]) => [u16(algorithm), digest]);
  return Buffer.concat([
    u32(register),
    u32(type),
    u32(digests.length),
    ...written,
    u32(content.length),
    content,
  ]);
}
const separator = Buffer.alloc(4);
const ofSeparator = sha384(separator);
const other = sha384(Buffer.from('a boot loader'));
const log = Buffer.concat([
  specId(),
  entry(0, 3, [[SHA384, Buffer.alloc(48)]], Buffer.from('no action')),
  entry(0, 1, [[SHA384, other]], Buffer.from('measured into MRTD')),
  entry(1, 4, [[SHA384, ofSeparator]], separator),
  entry(1, 0x8000_0003, [[SHA384, other]], Buffer.from('a path')),
  entry(4, 4, [[SHA384, ofSeparator]], separator),
]);

describe('the event log of the firmware (CCEL)', () => {
  it('has the events of the four registers, and says whose content was measured', () => {
    const events = parseCcel(log);
    expect(
      events.map(({ register, type, isContentMeasured }) => [register, type, isContentMeasured]),
    ).toEqual([
      ['rtMr0', 4, true],
      ['rtMr0', 0x8000_0003, false],
      ['rtMr3', 4, true],
    ]);
    expect(JSON.parse(JSON.stringify(events))[0]).toMatchObject({
      digest: ofSeparator.toString('hex'),
      content: '00000000',
    });
  });

  it('replays to what TDX would extend', () => {
    const { rtMr0, rtMr1, rtMr3 } = replayEvents(parseCcel(log));
    const first = sha384(Buffer.alloc(48), ofSeparator);
    expect(rtMr0).toEqual(new Uint8Array(sha384(first, other)));
    expect(rtMr1).toEqual(new Uint8Array(48));
    expect(rtMr3).toEqual(new Uint8Array(first));
  });

  it.each([0, 0xff])('skips padding of %i at the end, and nothing else', (fill) => {
    expect(parseCcel(Buffer.concat([log, Buffer.alloc(100, fill)]))).toEqual(parseCcel(log));
    const hidden = Buffer.concat([log, Buffer.alloc(100, fill), entry(1, 4, [[SHA384, other]], separator)]);
    expect(codeOf(() => parseCcel(hidden))).toBe('EVENT_LOG_MALFORMED');
  });

  it('takes the digests of other algorithms for what they are', () => {
    const two = specId({
      algorithms: [
        [SHA256, 32],
        [SHA384, 48],
      ],
    });
    const both = entry(
      2,
      4,
      [
        [SHA256, Buffer.alloc(32)],
        [SHA384, other],
      ],
      separator,
    );
    expect(parseCcel(Buffer.concat([two, both]))[0]?.digest).toEqual(new Uint8Array(other));
  });

  it.each([
    ['of an unknown register', entry(5, 4, [[SHA384, other]], separator)],
    ['without a digest of SHA-384', entry(1, 4, [], separator)],
    [
      'with two digests of SHA-384',
      entry(
        1,
        4,
        [
          [SHA384, other],
          [SHA384, other],
        ],
        separator,
      ),
    ],
    ['with a digest of an unknown algorithm', entry(1, 4, [[SHA256, Buffer.alloc(32)]], separator)],
    ['that is cut off', entry(1, 4, [[SHA384, other]], separator).subarray(0, -1)],
  ])('refuses an event %s', (_, event) => {
    expect(codeOf(() => parseCcel(Buffer.concat([specId(), event])))).toBe('EVENT_LOG_MALFORMED');
  });

  it.each([
    ['is empty', Buffer.alloc(0), 'length'],
    ['is too large', Buffer.concat([log, Buffer.alloc(1024 * 1024 + 1 - log.length)]), 'log'],
    ['begins with another type', specId({ type: 4 }), 'type of the first event'],
    ['begins with another signature', specId({ signature: 'Spec ID Event02\0' }), 'signature'],
    ['has no SHA-384', specId({ algorithms: [[SHA256, 32]] }), 'algorithms'],
    ['has SHA-384 of another size', specId({ algorithms: [[SHA384, 32]] }), 'algorithms'],
    ['ends in the middle of an event', log.subarray(0, -1), 'length'],
  ])('refuses a log that %s, and says where', (_, bytes, field) => {
    expect(thrownBy(() => parseCcel(bytes))).toMatchObject({ code: 'EVENT_LOG_MALFORMED', field });
  });

  it('reads a log of the largest size', () => {
    expect(parseCcel(Buffer.concat([log, Buffer.alloc(1024 * 1024 - log.length)]))).toEqual(parseCcel(log));
  });

  it('leaves out what extended no register, whichever it names', () => {
    const silent = entry(1, 3, [[SHA384, Buffer.alloc(48)]], Buffer.from('no action'));
    expect(parseCcel(Buffer.concat([log, silent]))).toEqual(parseCcel(log));
  });
});

const DSTACK = 0x0800_0001;
function dstackEvent(name: string, payload: string, change: Readonly<Record<string, unknown>> = {}) {
  const digest = sha384(
    u32(DSTACK),
    Buffer.from(':'),
    Buffer.from(name),
    Buffer.from(':'),
    Buffer.from(payload, 'hex'),
  );
  return {
    imr: 3,
    event_type: DSTACK,
    digest: digest.toString('hex'),
    event: name,
    event_payload: payload,
    ...change,
  };
}

describe('the event log of dstack', () => {
  const events = [
    { imr: 0, event_type: 1, digest: other.toString('hex'), event: '', event_payload: '' },
    { imr: 1, event_type: 4, digest: ofSeparator.toString('hex'), event: '', event_payload: '00000000' },
    dstackEvent('compose-hash', 'ab12'),
  ];

  it('has names and contents, and says which were measured', () => {
    const read = parseDstackLog(JSON.stringify(events));
    expect(read.map(({ register, name, isContentMeasured }) => [register, name, isContentMeasured])).toEqual([
      ['rtMr0', '', false],
      ['rtMr1', '', true],
      ['rtMr3', 'compose-hash', true],
    ]);
    expect(read[2]?.content).toEqual(Uint8Array.of(0xab, 0x12));
  });

  it.each([
    ['whose name was changed', dstackEvent('compose-hash', 'ab12', { event: 'other' })],
    ['whose payload was changed', dstackEvent('compose-hash', 'ab12', { event_payload: 'ab13' })],
    ['whose payload is no hex', dstackEvent('compose-hash', 'ab12', { event_payload: 'xy' })],
    ['of an unknown register', dstackEvent('compose-hash', 'ab12', { imr: 4 })],
    ['with a short digest', dstackEvent('compose-hash', 'ab12', { digest: 'ab' })],
    ['with a type that is no u32', dstackEvent('compose-hash', 'ab12', { event_type: 2 ** 32 })],
    ['that is no object', 7],
  ])('refuses an event %s', (_, event) => {
    expect(codeOf(() => parseDstackLog(JSON.stringify([event])))).toBe('EVENT_LOG_MALFORMED');
  });

  it.each([
    ['no JSON', '[', 'a JSON array'],
    ['no array', '{}', 'a JSON array'],
    ['too many events', JSON.stringify(new Array(10_001).fill(events[0])), 'at most 10000 events'],
    ['too much text', `[${' '.repeat(4_000_000 - 1)}]`, 'a JSON array'],
  ])('refuses %s', (_, text, expected) => {
    expect(thrownBy(() => parseDstackLog(text))).toMatchObject({ code: 'EVENT_LOG_MALFORMED', expected });
  });

  it('reads as many events and as much text as it says', () => {
    expect(parseDstackLog(JSON.stringify(new Array(10_000).fill(events[0])))).toHaveLength(10_000);
    expect(parseDstackLog(`[${' '.repeat(4_000_000 - 2)}]`)).toEqual([]);
  });
});

describe('an event log and a quote', () => {
  const events = parseCcel(log);
  const { rtMr0, rtMr3 } = replayEvents(events);
  const measurements = {
    rtMr0: new Uint8Array(rtMr0),
    rtMr1: new Uint8Array(48),
    rtMr2: new Uint8Array(48),
    rtMr3: new Uint8Array(rtMr3),
  };
  const { body } = parseQuote(plainQuote({ body: measurements }));

  it('agree', () => {
    expect(() => requireEvents(body, events)).not.toThrow();
  });

  it('do not agree when an event is missing, and the register is named', () => {
    const refusal = thrownBy(() => requireEvents(body, events.slice(0, 2)));
    expect(refusal).toMatchObject({ code: 'EVENT_LOG_MISMATCH', field: 'rtMr3' });
    expect(() => requireEvents(body, events.slice(0, 2), ['rtMr0', 'rtMr1'])).not.toThrow();
  });

  it('do not agree when two events are exchanged', () => {
    const [first, second] = events;
    if (first === undefined || second === undefined) throw new TypeError('the log has three events');
    expect(codeOf(() => requireEvents(body, [second, first], ['rtMr0']))).toBe('EVENT_LOG_MISMATCH');
  });
});
