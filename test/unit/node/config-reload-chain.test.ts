import { afterEach, expect, it } from 'vitest';
import { startDevelopmentChain } from '../../../devnet/chain/development-chain.ts';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import type { Config } from '../../../src/config/schema.ts';
import { ConfigReload } from '../../../src/node/config-reload.ts';
import { buildParts } from '../../../src/node/parts.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { insecureTrustRoot } from '../../../src/tdx/verify-quote.ts';
import { yamlWith } from '../config/config-fixture.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function startChain() {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  open.push(chain);
  chain.newBlocks(2);
  return chain;
}

const trustRoot = insecureTrustRoot(createDevelopmentPki({ seed: new Uint8Array(32).fill(1) }).rootPem);

it('a file with another trust section and endpoints of that chain does not move the node to that chain', async () => {
  const [own, foreign] = [await startChain(), await startChain()];
  const configOf = (genesisHash: string, url: string): Config =>
    loadConfig(yamlWith({ 'trust.chain.genesisHash': genesisHash, 'chain.endpoints': [url] }), {});
  const running = configOf(own.genesisHash, own.url);
  const before = structuredClone(running);
  const parts = buildParts(running, { trustRoot, log: silentLog });
  open.push(parts.chain);
  const block = async () => (await parts.chain.snapshot()).block.hash;
  const known = await block();
  const reload = new ConfigReload(running, parts, async () => configOf(foreign.genesisHash, foreign.url));
  await reload.reload();
  expect(reload.last).toMatchObject({ outcome: 'refused', code: 'CHAIN_GENESIS_MISMATCH' });
  expect(running).toEqual(before);
  expect(await block()).toEqual(known);
});
