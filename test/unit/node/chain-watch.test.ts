import { describe, expect, it } from 'vitest';
import { AccountId, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import { ChainWatch } from '../../../src/node/chain-watch.ts';
import { ManualClock, START_MS } from '../../support/collateral-world.ts';
import { memoryChain } from '../../support/memory-chain.ts';
import { codeOf } from '../../support/thrown.ts';

const account = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const record = (byte: number): ServerRecord => ({
  account: account(byte),
  stash: account(byte + 100),
  x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(9)),
  endpoint: 'a:1',
  quote: new Uint8Array(0),
  active: true,
  signer: false,
});

function watched() {
  const clock = new ManualClock(START_MS);
  const chain = memoryChain();
  const blocks: number[] = [];
  const watch = new ChainWatch({
    chain,
    clock,
    maxAgeMs: 60_000,
    onSnapshot: ({ block }) => blocks.push(block.number),
  });
  return { clock, chain, watch, blocks };
}

describe('the watch on the chain', () => {
  it('tells accounts that left from those that never were there', () => {
    const { chain, watch } = watched();
    chain.set({ servers: [record(1), record(2)] });
    chain.set({ servers: [record(2)] });
    expect([1, 2, 3].map((byte) => watch.hasDeparted(account(byte)))).toEqual([true, false, false]);
    chain.set({ servers: [record(1)] });
    expect(watch.hasDeparted(account(1))).toBe(false);
  });

  it('does not judge by a view that is too old', async () => {
    const { chain, watch, clock } = watched();
    chain.set({ servers: [record(1)] });
    await clock.advance(60_001);
    expect(codeOf(() => watch.hasDeparted(account(1)))).toBe('CHAIN_UNAVAILABLE');
    // Whoever was never registered needs no view.
    expect(watch.hasDeparted(account(7))).toBe(false);
    chain.set({});
    expect(watch.hasDeparted(account(1))).toBe(false);
  });

  it('knows the newest block and the accepted measurements, until it is closed', () => {
    const { chain, watch, blocks } = watched();
    expect(watch.finalized().number).toBe(0);
    expect(watch.acceptedMeasurements).toEqual([]);
    const { block } = chain.set({ acceptedMeasurements: [new Uint8Array(32).fill(4)] });
    expect(watch.finalized().number).toBe(block.number);
    expect(watch.acceptedMeasurements).toHaveLength(1);
    watch.close();
    chain.set({});
    expect(blocks).toEqual([block.number]);
  });
});
