import { describe, expect, it } from 'vitest';
import { ByteRows } from '../../../src/bytes/byte-rows.ts';
import { AccountId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SLOT_ROW_BYTES, SlotKey } from '../../../src/keyserver/slot-key.ts';
import { PLAIN_SLOT_ID } from '../../../src/protocol/report-data.ts';

const provenance = { platform: new Uint8Array(16), trustHash: new Uint8Array(48) };

/** A key whose random bytes count from 1, and the arrays that were drawn for it. */
function counted(slotId: SlotId) {
  let next = 1;
  const drawn: Uint8Array[] = [];
  const random = (length: number): Uint8Array => {
    const bytes = Uint8Array.from({ length }, () => next++);
    drawn.push(bytes);
    return bytes;
  };
  const row = new ByteRows(SLOT_ROW_BYTES).take();
  const key = new SlotKey(row, AccountId.of(new Uint8Array(32)), slotId, provenance, random, {
    nowMs: 5,
    monotonicMs: 7,
  });
  return { key, drawn };
}

const from = (first: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => first + i);

describe('what a new key draws', () => {
  it('is its id, its secret and its token, of bytes that no other one has', () => {
    const { key } = counted(SlotId.of(new Uint8Array(16).fill(9)));
    expect(key.keyId).toEqual(from(1, 16));
    expect(key.key.reveal()).toEqual(from(17, 32));
    expect(key.recoveryToken?.reveal()).toEqual(from(49, 32));
    // What follows in the row is not overwritten.
    expect([key.report, key.createdAtMs, key.idleSinceMs]).toEqual([undefined, 5, 7]);
  });

  it('is no token for a plain key', () => {
    const { key, drawn } = counted(PLAIN_SLOT_ID);
    expect(key.key.reveal()).toEqual(from(17, 32));
    expect(key.recoveryToken).toBeUndefined();
    expect(drawn.reduce((sum, { length }) => sum + length, 0)).toBe(48);
  });

  it('is wiped where it was drawn', () => {
    const { drawn } = counted(SlotId.of(new Uint8Array(16).fill(9)));
    expect(drawn.length).toBeGreaterThan(0);
    for (const bytes of drawn) expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('what a store would lose with a key', () => {
  it.each([
    ['without a report', undefined, false],
    ['of a store that has more than it needs', { threshold: 3, slots: 5, live: 4 }, false],
    ['of a store that has just what it needs', { threshold: 3, slots: 5, live: 3 }, true],
    ['of a store that has less already', { threshold: 3, slots: 5, live: 2 }, true],
  ] as const)('%s', (_, report, isCritical) => {
    const { key } = counted(SlotId.of(new Uint8Array(16).fill(9)));
    if (report !== undefined) key.setReport(report);
    expect(key.report).toEqual(report);
    expect(key.isCritical).toBe(isCritical);
  });
});
