import { describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { type Config, configSchema } from '../../../src/config/schema.ts';
import { buildParts } from '../../../src/node/parts.ts';
import { CONFIGFS_TSM_DIRECTORY } from '../../../src/quote-source/configfs-quote-source.ts';
import { insecureTrustRoot } from '../../../src/tdx/verify-quote.ts';
import { memoryChain } from '../../support/memory-chain.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(1) });

const withSource = (quote: Readonly<Record<string, unknown>>): Config =>
  configSchema.parse({
    node: { dataFolder: '/data' },
    chain: { endpoints: ['ws://chain.invalid'] },
    quote,
    collateral: { endpoints: ['http://collateral.invalid'] },
    trust: { chain: { genesisHash: `0x${'00'.repeat(32)}` } },
  });

/** Sources outside of the measured section that could give quotes of any machine. */
const unmeasured = [
  { source: 'development', url: 'http://127.0.0.1:1' },
  { source: 'configfs', path: '/tmp/report' },
];

describe('the source of the own quotes', () => {
  it.each(unmeasured)(
    '$source needs the flag of an injected trust root, unless it is the kernel',
    (quote) => {
      const config = withSource(quote);
      const build = (trustRoot?: ReturnType<typeof insecureTrustRoot>) =>
        buildParts(config, { chain: memoryChain(), ...(trustRoot === undefined ? {} : { trustRoot }) });
      expect(() => build()).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
      expect(build(insecureTrustRoot(pki.rootPem)).quotes).toBeDefined();
    },
  );

  it.each([{}, { path: CONFIGFS_TSM_DIRECTORY }])('the kernel’s folder needs no flag: %j', (path) => {
    const parts = buildParts(withSource({ source: 'configfs', ...path }), { chain: memoryChain() });
    expect(parts.quotes).toBeDefined();
  });
});
