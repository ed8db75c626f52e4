import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { type Extensions, MAX_EXTENSIONS, noExtensions } from '../../../src/protocol/extensions.ts';
import {
  compareHeads,
  type Head,
  type KeyStatus,
  keyStatusBytes,
  type SlotState,
  slotStateBytes,
} from '../../../src/protocol/mac-routes.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const integer = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const head: fc.Arbitrary<Head> = fc.record({ generation: integer, sequence: integer, digest: bytes(32) });
const incarnation = fc.record({ number: integer, bootId: bytes(16) });
const status: fc.Arbitrary<KeyStatus> = fc.record({
  confirm: fc.boolean(),
  incarnation,
  head: fc.option(head, { nil: undefined }),
  report: fc.option(
    fc.record({
      threshold: fc.integer({ min: 1, max: 16 }),
      slots: fc.integer({ min: 1, max: 16 }),
      live: fc.integer({ min: 0, max: 16 }),
    }),
    { nil: undefined },
  ),
});
const extensions: fc.Arbitrary<Extensions> = fc
  .uniqueArray(
    fc.tuple(fc.stringMatching(/^[a-z][A-Za-z0-9]{0,31}$/), fc.uint8Array({ minLength: 1, maxLength: 40 })),
    {
      maxLength: MAX_EXTENSIONS,
      selector: ([name]) => name,
    },
  )
  .map((entries) => new Map(entries));
const state: fc.Arbitrary<SlotState> = fc.record({
  instanceId: bytes(16).map((value) => InstanceId.of(value)),
  serverTimeMs: integer,
  incarnation,
  head: fc.option(head, { nil: undefined }),
  draining: fc.boolean(),
  extensions,
});

describe('canonical bytes', () => {
  it('have a fixed length also when fields are absent, so that no field can be read as another', () => {
    fc.assert(fc.property(status, (value) => keyStatusBytes(value).length === 78));
    fc.assert(
      fc.property(state, (value) => slotStateBytes({ ...value, extensions: noExtensions }).length === 100),
    );
  });

  it('differ when any field differs', () => {
    fc.assert(
      fc.property(status, status, (a, b) => {
        const same = JSON.stringify(plain(a)) === JSON.stringify(plain(b));
        expect(toHex(keyStatusBytes(a)) === toHex(keyStatusBytes(b))).toBe(same);
      }),
    );
  });

  it('distinguish an absent head from a head of zeros', () => {
    const zeros: Head = { generation: 0, sequence: 0, digest: new Uint8Array(32) };
    const none = {
      instanceId: InstanceId.of(new Uint8Array(16)),
      serverTimeMs: 0,
      draining: false,
      extensions: noExtensions,
    };
    const nobody = { number: 0, bootId: new Uint8Array(16) };
    const absent = slotStateBytes({ ...none, incarnation: nobody, head: undefined });
    expect(toHex(slotStateBytes({ ...none, incarnation: nobody, head: zeros }))).not.toBe(toHex(absent));
  });

  it('of a state include whether the server drains, so that this cannot be forged', () => {
    fc.assert(
      fc.property(state, (value) => {
        const other = { ...value, draining: !value.draining };
        expect(toHex(slotStateBytes(other))).not.toBe(toHex(slotStateBytes(value)));
      }),
    );
  });
});

describe('heads', () => {
  const at = (generation: number, sequence: number): Head => ({
    generation,
    sequence,
    digest: new Uint8Array(32),
  });
  it('compare by generation, then by sequence', () => {
    expect(compareHeads(at(2, 0), at(1, 9))).toBeGreaterThan(0);
    expect(compareHeads(at(1, 2), at(1, 3))).toBeLessThan(0);
    expect(compareHeads(at(1, 2), at(1, 2))).toBe(0);
  });
});

function plain(value: KeyStatus): unknown {
  return {
    ...value,
    incarnation: [value.incarnation.number, toHex(value.incarnation.bootId)],
    head:
      value.head === undefined
        ? null
        : [value.head.generation, value.head.sequence, toHex(value.head.digest)],
    report: value.report ?? null,
  };
}
