import { describe, expect, it } from 'vitest';
import { AccountId, BlockHash, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot, ChainView } from '../../../src/chain/chain-view.ts';
import { ChainWatch } from '../../../src/node/chain-watch.ts';
import type { Clock } from '../../../src/time/clock.ts';

const account = AccountId.of(new Uint8Array(32).fill(3));
const MINUTE_MS = 60_000;

/** A view as the real one is: subscribers hear of changed content only, `snapshot()` always knows the newest block. */
function quietChain(nowMs: () => number): ChainView {
  const snapshot = (): ChainSnapshot => ({
    genesisHash: BlockHash.of(new Uint8Array(32)),
    block: {
      number: Math.floor(nowMs() / 6000),
      hash: BlockHash.of(new Uint8Array(32)),
      timestampMs: nowMs(),
    },
    servers: [
      {
        stash: account,
        account,
        x25519PublicKey: X25519PublicKey.of(new Uint8Array(32)),
        endpoint: '127.0.0.1:1',
        quote: new Uint8Array(0),
        active: true,
        signer: false,
      },
    ],
    undecodableRecords: 0,
    acceptedMeasurements: [],
  });
  return {
    snapshot: async () => snapshot(),
    subscribe(listener) {
      listener(snapshot());
      return () => undefined;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe('the chain watch', () => {
  it('stays fresh, and its block advances, while nothing changes on the chain', async () => {
    let nowMs = 1_000_000;
    const stop = new AbortController();
    const clock: Clock = {
      nowMs: () => nowMs,
      async sleep(milliseconds) {
        nowMs += milliseconds;
        if (nowMs > 1_000_000 + 20 * MINUTE_MS) stop.abort();
        await Promise.resolve();
      },
    };
    const watch = new ChainWatch({
      chain: quietChain(() => nowMs),
      clock,
      maxAgeMs: 10 * MINUTE_MS,
      onSnapshot: () => undefined,
    });
    const before = watch.finalized().number;
    await watch.follow(15_000, stop.signal, () => undefined);
    expect(watch.hasDeparted(account)).toBe(false);
    expect(watch.finalized().number).toBeGreaterThan(before + 100);
    watch.close();
  });

  it('remembers a bounded number of accounts, the newest ones', async () => {
    const clock: Clock = { nowMs: () => MINUTE_MS, sleep: async () => undefined };
    const chain = quietChain(() => MINUTE_MS);
    const watch = new ChainWatch({ chain, clock, maxAgeMs: MINUTE_MS, onSnapshot: () => undefined });
    const empty = await chain.snapshot();
    const [record] = empty.servers;
    if (record === undefined) throw new Error('no record');
    const made = (number: number): AccountId => {
      const bytes = new Uint8Array(32);
      new DataView(bytes.buffer).setUint32(0, number + 1);
      return AccountId.of(bytes);
    };
    for (let at = 0; at < 120_000; at += 20_000) {
      const servers = Array.from({ length: 20_000 }, (_, index) => ({
        ...record,
        account: made(at + index),
      }));
      watch.take({ ...empty, servers });
    }
    watch.take({ ...empty, servers: [] });
    expect([account, made(0), made(119_999)].map((one) => watch.hasDeparted(one))).toEqual([
      false,
      false,
      true,
    ]);
    watch.close();
  });

  it('counts for how long an account has no record, by a clock that cannot be set, and from its last departure', async () => {
    let passedMs = 0;
    let aheadMs = 0;
    const clock: Clock = {
      nowMs: () => passedMs + aheadMs,
      monotonicMs: () => passedMs,
      sleep: async () => undefined,
    };
    const chain = quietChain(() => passedMs);
    const watch = new ChainWatch({ chain, clock, maxAgeMs: MINUTE_MS, onSnapshot: () => undefined });
    const full = await chain.snapshot();
    const empty = { ...full, servers: [] };
    const never = AccountId.of(new Uint8Array(32).fill(9));
    const lacking = () => [account, never].map((one) => watch.lackingRecordMs(one));
    expect(lacking()).toEqual([0, Number.POSITIVE_INFINITY]);
    passedMs = 1_000;
    watch.take(empty);
    passedMs = 5_000;
    // Another list without the account changes nothing.
    watch.take({ ...empty, servers: [] });
    aheadMs = 100 * MINUTE_MS;
    expect(lacking()).toEqual([4_000, Number.POSITIVE_INFINITY]);
    watch.take(full);
    expect(lacking()).toEqual([0, Number.POSITIVE_INFINITY]);
    aheadMs = 0;
    watch.take({ ...empty, servers: [] });
    passedMs = 7_000;
    expect(lacking()).toEqual([2_000, Number.POSITIVE_INFINITY]);
    // An old view says nothing, also where the clock was ahead when it came and is set back.
    passedMs += MINUTE_MS;
    aheadMs = -MINUTE_MS;
    expect(lacking()).toEqual([0, 0]);
    expect(() => watch.hasDeparted(account)).toThrow('no news of the chain');
    watch.close();
  });

  it('does not go back to an older time when an endpoint shows an older block', async () => {
    const nowMs = 1_000_000;
    const chain = quietChain(() => nowMs);
    const clock: Clock = { nowMs: () => nowMs, sleep: async () => undefined };
    const watch = new ChainWatch({ chain, clock, maxAgeMs: MINUTE_MS, onSnapshot: () => undefined });
    watch.take(await quietChain(() => nowMs - MINUTE_MS).snapshot());
    expect(watch.time()).toEqual({ chainMs: nowMs });
  });
});
