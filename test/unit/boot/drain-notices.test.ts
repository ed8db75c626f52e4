import { describe, expect, it } from 'vitest';
import { DrainNotices } from '../../../src/boot/heal/drain-notices.ts';
import type { CheckedSlot } from '../../../src/boot/heal/slot-check.ts';
import { AccountId, InstanceId, KeyId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';

const PATIENCE_MS = 1_000;
const server = AccountId.of(new Uint8Array(32).fill(1));

function seen(standing: 'live' | 'draining', process = 1): CheckedSlot {
  const instanceId = InstanceId.of(new Uint8Array(16).fill(process));
  const slot = {
    index: 0,
    server,
    slotId: SlotId.of(new Uint8Array(16).fill(3)),
    keyId: KeyId.of(new Uint8Array(16)),
    recoveryToken: new SecretBytes(new Uint8Array(32)),
    instanceId,
    confirmed: true,
    sealed: new Uint8Array(0),
  };
  return { slot, report: { server, endpoint: undefined, standing }, instanceId, shown: [] };
}

describe('a server that reports that it drains', () => {
  it('is replaced at once, and its first report alone counts as news', () => {
    const leaving = new DrainNotices(PATIENCE_MS);
    expect(leaving.shouldReplace({ server }, 0)).toBe(false);
    expect(leaving.note([seen('draining')], 10)).toEqual([server]);
    expect(leaving.note([seen('draining')], 20)).toEqual([]);
    expect(leaving.shouldReplace({ server }, 20)).toBe(true);
  });

  it('is not replaced after it has stopped to report a drain', () => {
    const leaving = new DrainNotices(PATIENCE_MS);
    leaving.note([seen('draining')], 10);
    expect(leaving.note([seen('live')], 20)).toEqual([]);
    expect(leaving.shouldReplace({ server }, 20)).toBe(false);
    expect(leaving.note([seen('draining')], 30)).toEqual([server]);
  });

  it('and gives keys in between is replaced after growing pauses', () => {
    const leaving = new DrainNotices(PATIENCE_MS);
    let nowMs = 0;
    for (let time = 0; time < 14; time++) {
      leaving.note([seen('draining')], nowMs);
      const waitMs = time === 0 ? 0 : PATIENCE_MS * 2 ** Math.min(time - 1, 10);
      if (waitMs > 0) expect(leaving.shouldReplace({ server }, nowMs + waitMs - 1)).toBe(false);
      expect(leaving.shouldReplace({ server }, nowMs + waitMs)).toBe(true);
      nowMs += waitMs;
      leaving.left([server], nowMs);
      leaving.note([seen('live')], nowMs);
    }
  });

  it('gains nothing from a new instance id: the account is remembered, not the process', () => {
    const leaving = new DrainNotices(PATIENCE_MS);
    leaving.note([seen('draining')], 0);
    leaving.left([server], 0);
    leaving.note([seen('draining')], 5);
    expect(leaving.shouldReplace({ server }, 5)).toBe(false);
    leaving.note([seen('draining', 2)], 6);
    expect(leaving.shouldReplace({ server }, 6)).toBe(false);
    expect(leaving.shouldReplace({ server }, 6 + PATIENCE_MS)).toBe(true);
  });

  it('is asked last for an hour after it was replaced, and then in the normal order', () => {
    const leaving = new DrainNotices(PATIENCE_MS);
    leaving.note([seen('draining')], 0);
    expect(leaving.wasLeft(server, 0)).toBe(false);
    leaving.left([server], 100);
    expect(leaving.wasLeft(server, 100)).toBe(true);
    expect(leaving.wasLeft(server, 3_600_099)).toBe(true);
    expect(leaving.wasLeft(server, 3_600_100)).toBe(false);
    // A clock that was set back.
    expect(leaving.wasLeft(server, 50)).toBe(false);
  });
});
