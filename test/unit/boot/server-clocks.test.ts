import { describe, expect, it } from 'vitest';
import { ServerClocks } from '../../../src/boot/peer/server-clocks.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';

const server = AccountId.of(new Uint8Array(32).fill(1));
const other = AccountId.of(new Uint8Array(32).fill(2));

function scene() {
  const own = {
    ms: 10_000_000,
    passedMs: 0.25,
    nowMs: () => own.ms,
    monotonicMs: () => own.passedMs,
    sleep: async () => undefined,
    pass: (milliseconds: number) => {
      own.ms += milliseconds;
      own.passedMs += milliseconds;
    },
  };
  return { own, clocks: new ServerClocks(own) };
}

describe('the time of a request to a server', () => {
  it('is the own one while that of the server is not known, or not far off', () => {
    const { own, clocks } = scene();
    expect(clocks.nowMs(server)).toBe(own.ms);
    clocks.note(server, own.ms + 30_000);
    expect(clocks.nowMs(server)).toBe(own.ms);
  });

  it.each([30_001, -30_001, 900_000, -900_000])('is that of the server when it is %i ms off', (offMs) => {
    const { own, clocks } = scene();
    clocks.note(server, own.ms + offMs);
    own.pass(5_000);
    expect(clocks.nowMs(server)).toBe(own.ms + offMs);
    expect(clocks.nowMs(other)).toBe(own.ms);
  });

  it.each([900_001, -900_001])('is never one that is %i ms off', (offMs) => {
    const { own, clocks } = scene();
    clocks.note(server, own.ms + offMs);
    expect(clocks.nowMs(server)).toBe(own.ms);
    clocks.refused(server);
    expect(clocks.nowMs(server)).toBe(own.ms);
  });

  it('follows the server also after the own clock was raised or set', () => {
    const { own, clocks } = scene();
    clocks.note(server, own.ms + 600_000);
    own.ms += 480_000;
    own.pass(1_000);
    expect(clocks.nowMs(server)).toBe(own.ms + 120_000);
  });

  it('changes to the other one when the server refuses it: one of the clocks was set', () => {
    const { own, clocks } = scene();
    clocks.refused(server);
    clocks.note(server, own.ms + 300_000);
    clocks.refused(server);
    expect(clocks.nowMs(server)).toBe(own.ms);
    clocks.refused(server);
    expect(clocks.nowMs(server)).toBe(own.ms + 300_000);
    clocks.note(server, own.ms);
    expect(clocks.nowMs(server)).toBe(own.ms);
  });
});
