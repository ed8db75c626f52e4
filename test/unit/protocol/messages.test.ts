import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountId, InstanceId, LineageId, Mac, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { BOOT_BYTES, BOOT_ID_BYTES } from '../../../src/lineage/incarnation.ts';
import { SEALED_LINEAGE_KEY_BYTES } from '../../../src/lineage/lineage-key.ts';
import { type Extensions, MAX_EXTENSIONS } from '../../../src/protocol/extensions.ts';
import type { MacRoute } from '../../../src/protocol/labels.ts';
import {
  decodeLineageStatus,
  decodeLineageUpdate,
  type LineageUpdate,
  lineageUpdateBytes,
} from '../../../src/protocol/lineage-messages.ts';
import {
  depositToWire,
  incarnationToWire,
  type LineageState,
  MAX_LINEAGE_SLOTS,
} from '../../../src/protocol/lineage-state.ts';
import {
  bootContent,
  keyStatusContent,
  lineageUpdateContent,
  type MacContent,
  macMessage,
  NO_CONTENT,
  reserveContent,
} from '../../../src/protocol/mac-message.ts';
import {
  claimBytes,
  decodeClaim,
  decodeForget,
  decodeForgotten,
  decodeKeyStatus,
  decodeReserve,
  decodeServerState,
  type Forgotten,
  forgottenBytes,
  forgottenToWire,
  type KeyStatus,
  keyStatusBytes,
  reserveBytes,
  type ServerState,
  serverStateBytes,
  serverStateToWire,
} from '../../../src/protocol/slot-messages.ts';
import { codeOf } from '../../support/thrown.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const integer = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const slotId = bytes(SlotId.byteLength).map((value) => SlotId.of(value));
const slots = fc.array(slotId, { maxLength: MAX_LINEAGE_SLOTS });
const incarnation = fc.record({ number: integer, bootId: bytes(BOOT_ID_BYTES) });
const deposit = fc.record({ sequence: integer, digest: bytes(32) });
const status: fc.Arbitrary<KeyStatus> = fc.record({
  confirm: fc.boolean(),
  lineage: optional(bytes(SEALED_LINEAGE_KEY_BYTES)),
  incarnation,
  head: optional(deposit),
  report: optional(
    fc.record({
      threshold: fc.integer({ min: 1, max: 16 }),
      slots: fc.integer({ min: 1, max: 16 }),
      live: fc.integer({ min: 0, max: 16 }),
    }),
  ),
});
const update: fc.Arbitrary<LineageUpdate> = fc.record({
  incarnation,
  head: optional(deposit),
  forget: slots,
  close: optional(fc.record({ last: incarnation, head: deposit })),
});
const lineage: fc.Arbitrary<LineageState> = fc.record({
  reserved: fc.record({ number: integer, boot: bytes(BOOT_ID_BYTES) }),
  shown: incarnation,
  head: optional(fc.record({ incarnation, sequence: integer, digest: bytes(32) })),
  slots,
  closed: fc.boolean(),
});
const extensions: fc.Arbitrary<Extensions> = fc
  .uniqueArray(
    fc.tuple(fc.stringMatching(/^[a-z][A-Za-z0-9]{0,31}$/), fc.uint8Array({ minLength: 1, maxLength: 40 })),
    { maxLength: MAX_EXTENSIONS, selector: ([name]) => name },
  )
  .map((entries) => new Map(entries));
const state: fc.Arbitrary<ServerState> = fc.record({
  instanceId: bytes(16).map((value) => InstanceId.of(value)),
  serverTimeMs: integer,
  draining: fc.boolean(),
  lineage: optional(lineage),
  extensions,
});

const envelope = {
  accountId: `0x${'11'.repeat(32)}`,
  timestampMs: 1,
  random: `0x${'22'.repeat(16)}`,
  mac: `0x${'33'.repeat(32)}`,
};
const ofSlot = { ...envelope, slotId: `0x${'44'.repeat(16)}` };
const ofLineage = { ...envelope, lineageId: `0x${'55'.repeat(16)}` };
const account = AccountId.of(new Uint8Array(32).fill(0x11));
const ofSlotId = SlotId.of(new Uint8Array(16).fill(0x44));
const ofLineageId = LineageId.of(new Uint8Array(16).fill(0x55));
const mac = Mac.of(new Uint8Array(32).fill(0x33));
/** As it arrives at the other side. */
const sent = (wire: unknown): unknown => JSON.parse(JSON.stringify(wire));

/** The body of a request, as a client sends it. */
function bodyOf(route: MacRoute, name: SlotId | LineageId, content: MacContent) {
  const random = new Uint8Array(16).fill(0x22);
  const sender = { server: account, account, name, timestampMs: 1, random };
  return macMessage(new SecretBytes(new Uint8Array(32).fill(1)), route, sender, content).body;
}
const statusToWire = (value: KeyStatus) => bodyOf('key-status', ofSlotId, keyStatusContent(value));
const updateToWire = (value: LineageUpdate) =>
  bodyOf('lineage-update', ofLineageId, lineageUpdateContent(value));

describe('canonical bytes', () => {
  it('differ when any field differs, also when it is absent in one of them', () => {
    const differ = <T>(arbitrary: fc.Arbitrary<T>, bytesOf: (value: T) => Uint8Array): void =>
      fc.assert(
        fc.property(arbitrary, arbitrary, (a, b) => {
          expect(toHex(bytesOf(a)) === toHex(bytesOf(b))).toBe(textOf(a) === textOf(b));
        }),
      );
    differ(status, keyStatusBytes);
    differ(update, lineageUpdateBytes);
    differ(state, serverStateBytes);
  });

  it.each([
    ['reserved', { number: 1, boot: new Uint8Array(BOOT_ID_BYTES) }],
    ['shown', { number: 1, bootId: new Uint8Array(BOOT_ID_BYTES) }],
    [
      'head',
      { incarnation: { number: 0, bootId: new Uint8Array(16) }, sequence: 0, digest: new Uint8Array(32) },
    ],
    ['slots', [SlotId.of(new Uint8Array(16))]],
    ['closed', true],
  ])('of a lineage include %s', (field, value) => {
    const before: LineageState = {
      reserved: { number: 0, boot: new Uint8Array(BOOT_ID_BYTES) },
      shown: { number: 0, bootId: new Uint8Array(BOOT_ID_BYTES) },
      head: undefined,
      slots: [],
      closed: false,
    };
    const bytesOf = (shown: LineageState | undefined) =>
      toHex(
        serverStateBytes({
          instanceId: InstanceId.of(new Uint8Array(16)),
          serverTimeMs: 0,
          draining: false,
          lineage: shown,
          extensions: new Map(),
        }),
      );
    expect(bytesOf({ ...before, [field]: value })).not.toBe(bytesOf(before));
    expect(bytesOf(undefined)).not.toBe(bytesOf(before));
  });

  it('of an answer to forget include whether the key is erased', () => {
    fc.assert(
      fc.property(state, (said) => {
        const bytesOf = (erased: boolean) => toHex(forgottenBytes({ ...said, erased }));
        expect(bytesOf(true)).not.toBe(bytesOf(false));
        expect(bytesOf(true)).toBe(`01${toHex(serverStateBytes(said))}`);
      }),
    );
  });
});

describe('messages keep every byte on their way', () => {
  it('key-status and lineage-update', () => {
    fc.assert(
      fc.property(status, (value) => {
        const { content } = decodeKeyStatus(sent(statusToWire(value)));
        expect(toHex(keyStatusBytes(content))).toBe(toHex(keyStatusBytes(value)));
      }),
    );
    fc.assert(
      fc.property(update, (value) => {
        const { content, envelope: read } = decodeLineageUpdate(sent(updateToWire(value)));
        expect(toHex(lineageUpdateBytes(content))).toBe(toHex(lineageUpdateBytes(value)));
        expect(toHex(read.name)).toBe('55'.repeat(LineageId.byteLength));
      }),
    );
  });

  it('reserve', () => {
    fc.assert(
      fc.property(integer, bytes(BOOT_ID_BYTES), (number, boot) => {
        const wire = bodyOf('reserve', ofSlotId, reserveContent({ number, boot }));
        expect(toHex(reserveBytes(decodeReserve(sent(wire)).content))).toBe(
          toHex(reserveBytes({ number, boot })),
        );
      }),
    );
  });

  it('claim, forget and lineage-status, each with the name of its key', () => {
    fc.assert(
      fc.property(incarnation, (value) => {
        for (const [route, decode] of [
          ['claim', decodeClaim],
          ['forget', decodeForget],
        ] as const) {
          const { content, envelope: read } = decode(sent(bodyOf(route, ofSlotId, bootContent(value))));
          expect(toHex(claimBytes(content))).toBe(toHex(claimBytes(value)));
          expect(toHex(read.name)).toBe('44'.repeat(SlotId.byteLength));
        }
      }),
    );
    const { envelope: read } = decodeLineageStatus(sent(bodyOf('lineage-status', ofLineageId, NO_CONTENT)));
    expect(read).toMatchObject({ account, name: ofLineageId, timestampMs: 1 });
  });

  it('answers', () => {
    fc.assert(
      fc.property(state, fc.boolean(), (value, erased) => {
        const read = decodeServerState(sent(serverStateToWire(value, mac)));
        expect(toHex(serverStateBytes(read.state))).toBe(toHex(serverStateBytes(value)));
        const forgotten: Forgotten = { ...value, erased };
        const answer = decodeForgotten(sent(forgottenToWire(forgotten, mac)));
        expect(toHex(forgottenBytes(answer.forgotten))).toBe(toHex(forgottenBytes(forgotten)));
      }),
    );
  });
});

describe('messages of another shape are refused', () => {
  const none = { number: 0, bootId: new Uint8Array(BOOT_ID_BYTES) };
  const statusWire = statusToWire({
    confirm: false,
    lineage: undefined,
    incarnation: none,
    head: undefined,
    report: undefined,
  });
  const updateWire = updateToWire({ incarnation: none, head: undefined, forget: [], close: undefined });

  it.each([
    [
      'too many slots to forget',
      { forget: Array.from({ length: MAX_LINEAGE_SLOTS + 1 }, () => ofSlot.slotId) },
    ],
    ['no list of slots', { forget: undefined }],
    ['an end without a last head', { close: incarnationToWire(none) }],
    ['an end that is no more than a wish', { close: true }],
    [
      'a head with a writer of its own',
      { head: { ...incarnationToWire(none), ...depositToWire({ sequence: 1, digest: new Uint8Array(32) }) } },
    ],
    ['a number that JSON does not carry exactly', { incarnation: 2 ** 53 }],
    ['an unknown field', { more: 1 }],
  ])('lineage-update: %s', (_what, changes) => {
    expect(codeOf(() => decodeLineageUpdate(sent(updateWire)))).toBe('none');
    expect(codeOf(() => decodeLineageUpdate(sent({ ...updateWire, ...changes })))).toBe('FIELD_INVALID');
  });

  it.each([
    [
      'a sealed lineage key that is one byte short',
      { lineage: `0x${'00'.repeat(SEALED_LINEAGE_KEY_BYTES - 1)}` },
    ],
    ['a lineage key that is not sealed', { lineage: `0x${'00'.repeat(32)}` }],
    ['no boot id', { bootId: undefined }],
    ['an unknown field', { more: 1 }],
  ])('key-status: %s', (_what, changes) => {
    expect(codeOf(() => decodeKeyStatus(sent(statusWire)))).toBe('none');
    expect(codeOf(() => decodeKeyStatus(sent({ ...statusWire, ...changes })))).toBe('FIELD_INVALID');
  });

  it('reserve with a boot without its mark, and lineage-status with a field that no MAC covers', () => {
    const reserve = { ...ofSlot, incarnation: 1, boot: `0x${'00'.repeat(BOOT_ID_BYTES)}` };
    expect(codeOf(() => decodeReserve(reserve))).toBe('none');
    expect(codeOf(() => decodeReserve({ ...reserve, boot: `0x${'00'.repeat(BOOT_BYTES)}` }))).toBe(
      'FIELD_INVALID',
    );
    expect(codeOf(() => decodeLineageStatus(ofLineage))).toBe('none');
    expect(codeOf(() => decodeLineageStatus({ ...ofLineage, close: true }))).toBe('FIELD_INVALID');
  });

  it('a message that is no object, naming it as a whole', () => {
    expect(() => decodeKeyStatus(5)).toThrow(expect.objectContaining({ field: 'body' }));
    expect(() => decodeServerState('text')).toThrow(expect.objectContaining({ field: 'answer' }));
    expect(() => decodeServerState({ mac: 1 })).toThrow(expect.objectContaining({ field: 'instanceId' }));
  });

  it('a field that nobody knows, naming it', () => {
    expect(() => decodeLineageStatus({ ...ofLineage, close: true })).toThrow(
      expect.objectContaining({ field: 'body', observed: 'unknown field close' }),
    );
  });

  it('an answer that names too many slots', () => {
    const shown = (count: number): ServerState => ({
      instanceId: InstanceId.of(new Uint8Array(16)),
      serverTimeMs: 0,
      draining: false,
      lineage: {
        reserved: { number: 0, boot: new Uint8Array(BOOT_ID_BYTES) },
        shown: none,
        head: undefined,
        slots: Array.from({ length: count }, () => SlotId.of(new Uint8Array(16))),
        closed: false,
      },
      extensions: new Map(),
    });
    const read = (count: number) => codeOf(() => decodeServerState(serverStateToWire(shown(count), mac)));
    expect([read(MAX_LINEAGE_SLOTS), read(MAX_LINEAGE_SLOTS + 1)]).toEqual(['none', 'FIELD_INVALID']);
  });
});

/** A value as text, bytes by their hex. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part instanceof Uint8Array) return toHex(part);
    if (part instanceof Map) return [...part].sort(([a], [b]) => (a < b ? -1 : 1));
    return part;
  });
}
