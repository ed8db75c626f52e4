import { describe, expect, it } from 'vitest';
import { BlockHash } from '../../../../src/bytes/fixed-bytes.ts';
import { RingState } from '../../../../src/node/ring/ring-state.ts';
import { followRegistry, type RingConstants } from '../../../../src/ring/members/registry.ts';
import { serverRecord } from '../../../support/chain-fixtures.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const former: RingConstants = { firstBlock: 0, everyBlocks: 10, replicas: 3 };
const changed: RingConstants = { firstBlock: 0, everyBlocks: 10, replicas: 4 };

/** Follows the chain by one boundary, as a node does. */
async function follow(state: RingState): Promise<void> {
  const { log } = state;
  const number = log.upTo + 10;
  const snapshot = {
    genesisHash: BlockHash.of(new Uint8Array(32)),
    block: { number, hash: BlockHash.of(new Uint8Array(32).fill(number)), timestampMs: number * 6_000 },
    servers: [1, 2].map((n) => serverRecord(n)),
    undecodableRecords: 0,
    acceptedMeasurements: [],
  };
  await state.saveLog(
    log.with(
      followRegistry(log.newest, snapshot, () => 'aa'),
      number,
    ),
    0,
  );
}

describe('the memory of the ring after its constants changed', () => {
  it('is that of the new ring, also after the next start', async () => {
    const store = new MemoryStore();
    await follow(await RingState.open(store, former));
    const state = await RingState.open(store, changed);
    await follow(state);
    const again = await RingState.open(store, changed);
    expect(again.log.part()).toEqual(state.log.part());
  });

  it('is kept, with how the node served, at each next boundary', async () => {
    const store = new MemoryStore();
    const state = await RingState.open(store, changed);
    const served = { view: 10, complete: 10, anchor: 'aa', storeGeneration: 1 };
    await follow(state);
    await state.saveServed(served);
    await follow(state);
    expect((await RingState.open(store, changed)).served).toEqual(served);
  });

  it('does not say how the node served in the former ring', async () => {
    const store = new MemoryStore();
    const before = await RingState.open(store, former);
    await follow(before);
    await before.saveServed({ view: 10, complete: 10, anchor: 'aa', storeGeneration: 1 });
    // The process ends before it says how it serves in the new one.
    await follow(await RingState.open(store, changed));
    expect((await RingState.open(store, changed)).served).toBeUndefined();
  });
});
