import { parseArgs } from 'node:util';
import { tryFromHex } from '../../src/bytes/hex.ts';
import { startDevelopmentChain } from './development-chain.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9944' },
    'block-time-ms': { type: 'string', default: '500' },
    'finality-lag': { type: 'string', default: '2' },
    authorities: { type: 'string', default: '4' },
    'genesis-seed': { type: 'string' },
    'state-version': { type: 'string', default: '1' },
    'varied-votes': { type: 'boolean', default: false },
    'equivocating-handovers': { type: 'boolean', default: false },
  },
});

const genesisSeed = values['genesis-seed'] === undefined ? undefined : tryFromHex(values['genesis-seed']);
if (values['genesis-seed'] !== undefined && genesisSeed === undefined)
  throw new RangeError('--genesis-seed must be hex');

const chain = await startDevelopmentChain({
  port: Number(values.port),
  blockTimeMs: Number(values['block-time-ms']),
  finalityLag: Number(values['finality-lag']),
  authorities: Number(values.authorities),
  stateVersion: values['state-version'] === '0' ? 0 : 1,
  variedVotes: values['varied-votes'],
  equivocatingHandovers: values['equivocating-handovers'],
  ...(genesisSeed === undefined ? {} : { genesisSeed }),
});
console.log(JSON.stringify({ url: chain.url, genesisHash: chain.genesisHash }));

const stop = async (): Promise<void> => {
  await chain.close();
  process.exit(0);
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
