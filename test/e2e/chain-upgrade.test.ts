import { afterEach, describe, expect, it } from 'vitest';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import type { RuntimeShape } from '../../devnet/chain/runtime.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import type { ChainSnapshot } from '../../src/chain/chain-view.ts';
import { connectChain, PolkadotChainView } from '../../src/chain/polkadot-chain-view.ts';
import { eventually, quickOptions, register, serverRecord } from '../support/chain-fixtures.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function chainOf(shape: RuntimeShape, finalityLag = 1): Promise<DevelopmentChain> {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag, shape });
  open.push(chain);
  register(chain, 1);
  chain.newBlocks(finalityLag + 1);
  return chain;
}

describe('the record layout of the runtime', () => {
  it('an older Entropy release without quotes in its records is refused, and the error names it', async () => {
    const chain = await chainOf('entropy-300');
    const log: ChainLogEvent[] = [];
    const view = new PolkadotChainView({ ...quickOptions(chain.url), log: (event) => log.push(event) });
    open.push(view);
    const failure = await eventually(() => log.find(({ code }) => code !== undefined));
    expect(failure.code).toBe('CHAIN_SHAPE_UNKNOWN');
    expect(failure.message).toContain('StakingExtension.ThresholdServers');
  });

  it('known fields in another order with one additional field are read', async () => {
    const chain = await chainOf('reordered');
    const view = await connectChain(quickOptions(chain.url));
    open.push(view);
    expect((await view.snapshot()).servers).toEqual([serverRecord(1)]);
  });
});

describe('a runtime upgrade', () => {
  it('while connected, each block is decoded with the types of its own runtime', async () => {
    const chain = await chainOf('entropy-500', 3);
    const view = await connectChain(quickOptions(chain.url));
    open.push(view);
    const read = async (): Promise<ChainSnapshot> =>
      await eventually(async () => {
        const snapshot = await view.snapshot();
        return snapshot.block.number === chain.finalized().number ? snapshot : undefined;
      });
    // Three blocks long the best block has the new runtime while the finalized one still has the old.
    chain.upgradeRuntime('reordered');
    for (const n of [2, 3, 4, 5, 6, 7, 8]) {
      register(chain, n);
      chain.newBlocks(1);
      const { servers, undecodableRecords } = await read();
      expect(undecodableRecords).toBe(0);
      expect(servers.map(({ account }) => account[0])).toEqual([1, 2, 3, 4, 5].slice(0, Math.max(1, n - 3)));
    }
  });

  it('to an unknown layout keeps the last snapshot, and reading resumes when the upgrade is undone', async () => {
    const chain = await chainOf('entropy-500');
    const log: ChainLogEvent[] = [];
    const view = await connectChain({ ...quickOptions(chain.url), log: (event) => log.push(event) });
    open.push(view);
    chain.upgradeRuntime('entropy-300');
    chain.newBlocks(4);
    await eventually(() => log.find(({ code }) => code === 'CHAIN_SHAPE_UNKNOWN'));
    expect((await view.snapshot()).servers).toEqual([serverRecord(1)]);
    chain.upgradeRuntime('entropy-500');
    register(chain, 2);
    chain.newBlocks(4);
    await eventually(async () => ((await view.snapshot()).servers.length === 2 ? true : undefined));
  });
});
