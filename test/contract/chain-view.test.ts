import { startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { connectChain } from '../../src/chain/polkadot-chain-view.ts';
import { quickOptions } from '../support/chain-fixtures.ts';
import { memoryChain } from '../support/memory-chain.ts';
import { type ChainViewDriver, chainViewContract } from './chain-view-contract.ts';

chainViewContract('in memory', async () => {
  const view = memoryChain();
  return {
    view,
    set: async (servers, acceptedMeasurements) => {
      view.set({ servers, acceptedMeasurements });
    },
    [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
  };
});

chainViewContract('@polkadot/api on the development chain', async (): Promise<ChainViewDriver> => {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  chain.newBlocks(2);
  const view = await connectChain(quickOptions(chain.url));
  return {
    view,
    async set(servers, acceptedMeasurements) {
      const kept = new Set(servers.map(({ stash }) => toHex(stash)));
      for (const { stash } of (await view.snapshot()).servers) {
        if (!kept.has(toHex(stash))) chain.removeServer(stash);
      }
      for (const server of servers) chain.registerServer(server);
      chain.setAcceptedMeasurements(acceptedMeasurements);
      chain.newBlocks(2);
    },
    async [Symbol.asyncDispose]() {
      await view[Symbol.asyncDispose]();
      await chain.close();
    },
  };
});
