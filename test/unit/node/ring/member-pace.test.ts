import { describe, expect, it } from 'vitest';
import { MemberPace } from '../../../../src/node/ring/member-pace.ts';
import { VirtualScheduler } from '../../../support/virtual-scheduler.ts';

describe('the pace of a member', () => {
  it('bounds the work for one that asks without end, and holds up no other', async () => {
    const time = new VirtualScheduler();
    const pace = new MemberPace(
      () => time.nowMs(),
      (milliseconds) => time.sleep(milliseconds),
    );
    let done = 0;
    const ask = async (): Promise<void> => {
      while (done < 1_000_000) {
        await pace.wait('liar', 64);
        done += 64;
      }
    };
    for (let at = 0; at < 16; at++) void ask();
    await time.advance(60_000);
    const first = done;
    expect(first).toBeLessThanOrEqual(4_000 + 60 * 500 + 16 * 64);
    expect(first).toBeGreaterThan(60 * 500 - 16 * 64);
    const before = time.nowMs();
    await pace.wait('honest', 64);
    expect(time.nowMs()).toBe(before);
    done = 1_000_000;
    await time.advance(10_000);
  });

  it('gives the burst back after a pause', async () => {
    const time = new VirtualScheduler();
    const slept: number[] = [];
    const pace = new MemberPace(
      () => time.nowMs(),
      async (milliseconds) => void slept.push(milliseconds),
    );
    await pace.wait('member', 4_000);
    expect(slept).toEqual([]);
    await pace.wait('member', 1);
    expect(slept).toEqual([2]);
    await time.advance(60_000);
    await pace.wait('member', 4_000);
    expect(slept).toEqual([2]);
  });
});
