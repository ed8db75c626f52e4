import { afterEach, describe, expect, it } from 'vitest';
import { startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { parsePrefixedHex, toHex } from '../../src/bytes/hex.ts';
import { connectChain } from '../../src/chain/polkadot-chain-view.ts';
import { eventually, quickOptions, register } from '../support/chain-fixtures.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

/** Three servers, each registered in a block of its own, and a view that reads all by proof. */
async function grown() {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  open.push(chain);
  const { blockNumber, blockHash, authoritySetId, authorities } = chain.checkpoint();
  const bytes = (hex: string): Uint8Array => parsePrefixedHex(hex, 32, 'checkpoint');
  const checkpoint = {
    blockNumber,
    blockHash: bytes(blockHash),
    authoritySetId,
    authorities: authorities.map(bytes),
  };
  for (const n of [1, 2, 3]) {
    register(chain, n);
    chain.newBlocks(3);
  }
  const view = await connectChain({ ...quickOptions(chain.url), checkpoint });
  open.push(view);
  const newest = await eventually(async () => {
    const snapshot = await view.snapshot();
    return snapshot.servers.length === 3 ? snapshot : undefined;
  });
  return { chain, view, newest };
}

describe('a block before the newest one', () => {
  it('is read by proof, exactly at its number, with the servers of that time', async () => {
    const { view, newest } = await grown();
    const counts: number[] = [];
    for (let number = newest.block.number; number > newest.block.number - 7; number--) {
      const { block, servers } = await view.snapshotAt(number);
      expect(block.number).toBe(number);
      counts.push(servers.length);
    }
    expect(counts[0]).toBe(3);
    expect(Math.min(...counts)).toBeLessThan(3);
    const again = await view.snapshotAt(newest.block.number);
    expect(toHex(again.block.hash)).toBe(toHex(newest.block.hash));
  });

  it('is refused while it is not final, whatever the endpoint says', async () => {
    const { view, newest } = await grown();
    await expect(view.snapshotAt(newest.block.number + 5)).rejects.toMatchObject({
      code: 'CHAIN_UNAVAILABLE',
    });
  });

  it('is not believed with the header of another block', async () => {
    const { chain, view, newest } = await grown();
    chain.tell('forge-header');
    await expect(view.snapshotAt(newest.block.number - 4)).rejects.toMatchObject({
      code: 'CHAIN_PROOF_INVALID',
    });
  });
});
