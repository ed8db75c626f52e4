import { describe, expect, it } from 'vitest';
import { environmentVariables } from '../../../src/config/environment.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { configTemplate, templateWith } from '../../../src/config/template.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { thresholdFor, thresholdWarning } from '../../../src/keyslots/threshold.ts';
import { genesisHash, refusalOf, yamlWith } from './config-fixture.ts';

const zeroHash = `0x${'00'.repeat(32)}`;

describe('the template', () => {
  it('contains exactly the default values, but for the rules about platforms, which an operator has to choose', () => {
    const { trust, ...rest } = loadConfig(
      templateWith({ recover: 'bound' }).replace(zeroHash, genesisHash),
      {},
    );
    const { platforms, ...others } = trust;
    const defaults = loadConfig(yamlWith(), {});
    expect({ ...rest, trust: others }).toEqual(defaults);
    expect(platforms).toEqual({ recover: 'bound', servers: 'registered', clients: 'any' });
  });

  it('is still valid when every commented section is enabled', () => {
    const section = templateWith({ recover: 'any' })
      .split('\n')
      .map((line) => (/^# (decryptions|agent|page|backup| {2}[a-z]\w+):/.test(line) ? line.slice(2) : line))
      .join('\n');
    const { decryptions, agent, page } = loadConfig(section.replace(zeroHash, genesisHash), {});
    expect(agent.socketPath).toBe('./data/agent.sock');
    expect(page).toEqual(loadConfig(yamlWith({ page: {} }), {}).page);
    expect(page).toEqual({ host: '127.0.0.1', port: 9302, hostNames: [] });
    const { prune, maxWaitersPerNetwork, ...rest } = decryptions ?? {};
    expect(prune).toEqual({ everyMs: 3_600_000, maxAgeMs: 2_592_000_000, maxCount: 1_000_000 });
    expect(maxWaitersPerNetwork).toBe(1024);
    expect(rest).toEqual(loadConfig(yamlWith({ decryptions: {} }), {}).decryptions);
  });
});

describe('how long stores are remembered', () => {
  it.each([
    ['lineageTtlMs', 30 * 86_400_000],
    ['maxLineages', 200_000],
    ['maxLineagesPerPlatform', 4096],
  ] as const)('limits.%s is at least %i: who writes the file must not make servers forget', (name, least) => {
    expect(loadConfig(yamlWith({ [`limits.${name}`]: least }), {}).limits[name]).toBe(least);
    expect(refusalOf(yamlWith({ [`limits.${name}`]: least - 1 }))).toBe(`CONFIG_INVALID limits.${name}`);
  });
});

describe('the template for a network of so many nodes', () => {
  it.each([
    [2, { minimumThreshold: 1, bootstrap: true }],
    [3, { minimumThreshold: 1, bootstrap: true }],
    [4, { minimumThreshold: 2, bootstrap: false }],
    [5, { minimumThreshold: 3, bootstrap: false }],
    [10_000, { minimumThreshold: 3, bootstrap: false }],
  ])('%i nodes: a threshold that all of them can meet, and that needs no warning', (nodes, expected) => {
    const text = templateWith({ recover: 'bound', nodes }).replace(zeroHash, genesisHash);
    const { trust } = loadConfig(text, {});
    expect(trust).toMatchObject(expected);
    const quorum = thresholdFor(nodes - 1, trust);
    expect(quorum?.t).toBeGreaterThanOrEqual(trust.minimumThreshold);
    expect(thresholdWarning(trust.minimumThreshold, nodes)).toBeUndefined();
    expect(text).toContain(`# ${nodes} nodes: any ${(quorum?.n ?? 0) - (quorum?.t ?? 0) + 1} may fail`);
  });
});

describe('wrong configurations are refused with their path', () => {
  it.each([
    ['an unknown key', { listne: {} }, 'CONFIG_INVALID file'],
    ['an unknown key of a section', { 'listen.prot': 1 }, 'CONFIG_INVALID listen'],
    ['another unit', { 'healing.intervalSeconds': 30 }, 'CONFIG_INVALID healing'],
    ['a duration with its unit', { 'healing.intervalMs': '30s' }, 'CONFIG_INVALID healing.intervalMs'],
    ['a fraction', { 'healing.intervalMs': 1000.5 }, 'CONFIG_INVALID healing.intervalMs'],
    ['a duration out of range', { 'healing.intervalMs': 1 }, 'CONFIG_INVALID healing.intervalMs'],
    ['a port of another kind', { 'listen.port': '3001' }, 'CONFIG_INVALID listen.port'],
    ['a port out of range', { 'listen.port': 65_536 }, 'CONFIG_INVALID listen.port'],
    ['no data folder', { 'node.dataFolder': undefined }, 'CONFIG_INVALID node.dataFolder'],
    ['no account', { 'node.expectedAccount': '5Fake' }, 'CONFIG_INVALID node.expectedAccount'],
    ['no chain endpoint', { 'chain.endpoints': [] }, 'CONFIG_INVALID chain.endpoints'],
    ['HTTP as a chain', { 'chain.endpoints': ['http://x'] }, 'CONFIG_INVALID chain.endpoints.0'],
    ['more agreement than endpoints', { 'chain.agreement': 2 }, 'CONFIG_INVALID chain.agreement'],
    ['another quote source', { 'quote.source': 'file' }, 'CONFIG_INVALID quote.source'],
    ['no collateral URL', { 'collateral.endpoints': ['pccs'] }, 'CONFIG_INVALID collateral.endpoints.0'],
    [
      'a collateral URL that is none of http',
      { 'collateral.endpoints': ['ftp://pccs.example'] },
      'CONFIG_INVALID collateral.endpoints.0',
    ],
    ['a renewal every minute', { 'healing.renewEveryMs': 60_000 }, 'CONFIG_INVALID healing.renewEveryMs'],
    ['waits upside down', { 'healing.retryMinMs': 61_000 }, 'CONFIG_INVALID healing.retryMinMs'],
    ['a log level', { 'log.level': 'loud' }, 'CONFIG_INVALID log.level'],
    ['a list for a section', { listen: [1] }, 'CONFIG_INVALID listen'],
    [
      'a genesis hash cut short',
      { 'trust.chain.genesisHash': '0x5a' },
      'CONFIG_INVALID trust.chain.genesisHash',
    ],
    [
      'threshold 1 without bootstrap',
      { 'trust.minimumThreshold': 1 },
      'CONFIG_INVALID trust.minimumThreshold',
    ],
    ['a TCB policy field', { 'trust.tcb.allowDebug': true }, 'TRUST_SECTION_INVALID trust.tcb.allowDebug'],
    [
      'a revoked TCB',
      { 'trust.tcb.acceptedTcbStatuses': ['Revoked'] },
      'TRUST_SECTION_INVALID trust.tcb.acceptedTcbStatuses',
    ],
    ['a trust root', { 'trust.root': 'PEM' }, 'CONFIG_INVALID trust'],
    [
      'a token in the file',
      { 'decryptions.writeAuthorization': { kind: 'bearer', token: 'x' } },
      'CONFIG_INVALID decryptions.writeAuthorization.tokenFile',
    ],
    [
      'no such account',
      { 'decryptions.writeAuthorization': { kind: 'sr25519', accounts: ['x'] } },
      'CONFIG_INVALID decryptions.writeAuthorization.accounts.0',
    ],
    ['pruning of nothing', { 'decryptions.prune': { everyMs: 1000 } }, 'CONFIG_INVALID decryptions.prune'],
  ])('%s', (_what, changes, expected) => {
    expect(refusalOf(yamlWith(changes))).toBe(expected);
  });

  it.each([
    ['broken YAML', 'node: {'],
    ['a key twice', 'node: {dataFolder: a, dataFolder: b}'],
    ['two documents', 'a: 1\n---\nb: 2'],
    ['a tag', 'node: !path x'],
    ['an alias', 'node: &n {dataFolder: a}\nlisten: *n'],
    ['a merge', 'node: &n {dataFolder: a}\nlisten: {<<: *n}'],
    [
      'a billion laughs',
      `a: &a [x]\n${'bcdefghi'
        .split('')
        .map((l, i) => `${l}: &${l} [*${'abcdefgh'[i]},*${'abcdefgh'[i]}]`)
        .join('\n')}`,
    ],
    ['a list', '- 1'],
    ['a scalar', 'latchkey'],
    ['a prototype', `${yamlWith()}__proto__: {x: 1}`],
  ])('%s', (_what, text) => {
    expect(refusalOf(text)).toBe('CONFIG_INVALID file');
  });

  it.each(['', '# nothing\n', 'null'])('the error for an empty file %j names a section', (text) => {
    expect(refusalOf(text)).toBe('CONFIG_INVALID node');
  });

  it('hex without quotes is a number in YAML, and the error explains it', () => {
    const text = yamlWith().replace(`"${genesisHash}"`, genesisHash);
    expect(() => loadConfig(text.replace(/genesisHash: .*/, `genesisHash: ${genesisHash}`), {})).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('quotes') }),
    );
  });
});

describe('the environment', () => {
  it('overrides single keys and comma-separated lists, only in sections that the file allows', () => {
    const config = loadConfig(yamlWith({ 'listen.host': '10.0.0.1' }), {
      LATCHKEY_LISTEN_PORT: '4000',
      LATCHKEY_CHAIN_ENDPOINTS: 'ws://a, wss://b',
      LATCHKEY_CHAIN_AGREEMENT: '2',
      LATCHKEY_AGENT_SOCKET_PATH: '/run/agent.sock',
      LATCHKEY_LOG_LEVEL: 'debug',
      PATH: '/bin',
    });
    expect(config.listen).toEqual({ host: '10.0.0.1', port: 4000 });
    expect(config.chain).toMatchObject({ endpoints: ['ws://a', 'wss://b'], agreement: 2 });
    expect(config.agent.socketPath).toBe('/run/agent.sock');
    expect(config.log.level).toBe('debug');
  });

  it('a folder name of digits is accepted', () => {
    expect(loadConfig(yamlWith(), { LATCHKEY_NODE_DATA_FOLDER: '2026' }).node.dataFolder).toBe('2026');
  });

  it.each([
    ['LATCHKEY_LISTEN_PROT', '1', 'LATCHKEY_LISTEN_PROT'],
    ['LATCHKEY_', '1', 'LATCHKEY_'],
    ['LATCHKEY_TRUST_BOOTSTRAP', 'true', 'LATCHKEY_TRUST_BOOTSTRAP'],
    ['LATCHKEY_TRUST_CHAIN_GENESIS_HASH', zeroHash, 'LATCHKEY_TRUST_CHAIN_GENESIS_HASH'],
    ['LATCHKEY_TRUST_MINIMUM_THRESHOLD', '1', 'LATCHKEY_TRUST_MINIMUM_THRESHOLD'],
    ['LATCHKEY_INSECURE_TRUST_ROOT', 'PEM', 'LATCHKEY_INSECURE_TRUST_ROOT'],
    ['LATCHKEY_LISTEN_PORT', 'many', 'listen.port'],
    ['LATCHKEY_LISTEN_PORT', '-1', 'listen.port'],
    ['LATCHKEY_LISTEN_PORT', '1e3', 'listen.port'],
    ['LATCHKEY_LISTEN_PORT', '', 'listen.port'],
    ['LATCHKEY_HEALING_INTERVAL_MS', '99999999999999999999', 'healing.intervalMs'],
    ['LATCHKEY_CHAIN_ENDPOINTS', '', 'chain.endpoints.0'],
  ])('%s=%s is refused', (variable, value, place) => {
    expect(refusalOf(yamlWith(), { [variable]: value })).toBe(`CONFIG_INVALID ${place}`);
  });

  it('an unknown variable is refused with the nearest known name', () => {
    const hintOf = (variable: string): string | undefined => {
      try {
        loadConfig(yamlWith(), { [variable]: '1' });
        return undefined;
      } catch (error) {
        return error instanceof LatchkeyError ? error.hint : undefined;
      }
    };
    expect(hintOf('LATCHKEY_LISTEN_PROT')).toContain('LATCHKEY_LISTEN_PORT');
    expect(hintOf('LATCHKEY_TRUST_BOOTSTRAP')).toContain('trust section');
  });

  it('refuses the placeholders of the template', () => {
    expect(refusalOf(configTemplate)).toBe('CONFIG_INVALID trust.platforms.recover');
    expect(refusalOf(templateWith({ recover: 'any' }))).toBe('CONFIG_INVALID trust.chain.genesisHash');
  });

  it('has no variable for the trust section', () => {
    expect([...environmentVariables.values()].filter((path) => path.startsWith('trust'))).toEqual([]);
    expect([...environmentVariables.keys()].filter((name) => name.includes('INSECURE'))).toEqual([]);
  });

  it('an override of one key does not hide a wrong section', () => {
    expect(refusalOf(yamlWith({ listen: [1, 2] }), { LATCHKEY_LISTEN_PORT: '1' })).toBe(
      'CONFIG_INVALID listen',
    );
  });
});
