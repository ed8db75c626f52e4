import { parseArgs } from 'node:util';
import { startDevelopmentChain } from './development-chain.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9944' },
    'block-time-ms': { type: 'string', default: '500' },
    'finality-lag': { type: 'string', default: '2' },
  },
});

const chain = await startDevelopmentChain({
  port: Number(values.port),
  blockTimeMs: Number(values['block-time-ms']),
  finalityLag: Number(values['finality-lag']),
});
console.log(JSON.stringify({ url: chain.url, genesisHash: chain.genesisHash }));

const stop = async (): Promise<void> => {
  await chain.close();
  process.exit(0);
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
