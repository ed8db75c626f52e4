import { describe, expect, it } from 'vitest';
import { ignoredVariables, loadDecryptionsConfig } from '../../../src/decryptions/decryptions-config.ts';
import { withoutEffect } from '../../../src/decryptions/rocket-toml.ts';

const base = 'default: { storePath: /s, passwordFile: /p }\n';

describe('D20 configuration of the decryption service', () => {
  it('D20 profiles: defaults, then default, then the section, then the environment', () => {
    const text = `${base}debug: { port: 9001, maxWaiters: 5 }\nrelease: { port: 9002 }\n`;
    expect(loadDecryptionsConfig(text, {})).toMatchObject({
      port: 9002,
      storePath: '/s',
      maxExpectedOracleDelayMs: 7000,
    });
    expect(loadDecryptionsConfig(text, {}, 'debug')).toMatchObject({ port: 9001, maxWaiters: 5 });
    expect(loadDecryptionsConfig(text, {}, 'testing')).toMatchObject({
      port: 0,
      maxExpectedOracleDelayMs: 2,
    });
    expect(
      loadDecryptionsConfig(text, { DECRYPTIONS_PROFILE: 'debug', DECRYPTIONS_PORT: '9003' }),
    ).toMatchObject({ port: 9003, maxWaiters: 5 });
  });

  it("D20 the original's variables work, ours win", () => {
    const environment = {
      ROCKET_ADDRESS: '0.0.0.0',
      ROCKET_PORT: '8002',
      ROCKET_MAX_EXPECTED_ORACLE_DELAY_MS: '50',
      ROCKET_DB_PATH: '/data',
      DECRYPTIONS_PORT: '8003',
      DECRYPTIONS_OVERWRITE: 'false',
    };
    expect(loadDecryptionsConfig(base, environment)).toMatchObject({
      address: '0.0.0.0',
      port: 8003,
      maxExpectedOracleDelayMs: 50,
      storePath: '/data',
      overwrite: false,
    });
  });

  it('D20 by default listens on loopback on port 8001 and allows all writes', () => {
    expect(loadDecryptionsConfig(base, {})).toMatchObject({
      address: '127.0.0.1',
      port: 8001,
      writeAuthorization: { kind: 'open' },
      overwrite: true,
      allowDelete: false,
    });
  });

  it.each([
    ['', 'passwordFile'],
    ['[', 'file'],
    ['other: {}', 'file'],
    [`${base}release: { typo: 1 }`, 'release'],
    [`${base}release: { port: 65536 }`, 'release.port'],
    [`${base}release: { port: "8001" }`, 'release.port'],
    [`${base}release: { maxExpectedOracleDelayMs: -1 }`, 'release.maxExpectedOracleDelayMs'],
    [`${base}release: { storePath: relative }`, 'release.storePath'],
    [`${base}release: { writeAuthorization: { kind: bearer } }`, 'release.writeAuthorization.tokenFile'],
    [
      `${base}release: { writeAuthorization: { kind: sr25519, accounts: [] } }`,
      'release.writeAuthorization.accounts',
    ],
    [
      `${base}release: { writeAuthorization: { kind: sr25519, accounts: [x] } }`,
      'writeAuthorization.accounts',
    ],
  ])('D20 refuses %j, naming %s', (text, field) => {
    expect(() => loadDecryptionsConfig(text, {})).toThrow(
      expect.objectContaining({ code: 'DECRYPTIONS_CONFIG_INVALID', field }),
    );
  });

  it.each([
    ['DECRYPTIONS_PROT', 'DECRYPTIONS_PORT'],
    ['DECRYPTIONS_MAX_EXPECTED_ORACLE_DELAY', 'DECRYPTIONS_MAX_EXPECTED_ORACLE_DELAY_MS'],
    ['DECRYPTIONS_ALOW_DELETE', 'DECRYPTIONS_ALLOW_DELETE'],
    ['DECRYPTIONS_PROFLIE', 'DECRYPTIONS_PROFILE'],
    ['ROCKET_ADRESS', 'ROCKET_ADDRESS'],
    ['ROCKET_DB_PAHT', 'ROCKET_DB_PATH'],
  ])('D20 refuses the misspelt variable %s, and names %s', (variable, meant) => {
    for (const text of ['1', ''])
      expect(() => loadDecryptionsConfig(base, { [variable]: text })).toThrow(
        expect.objectContaining({
          code: 'DECRYPTIONS_CONFIG_INVALID',
          field: variable,
          hint: expect.stringContaining(meant),
        }),
      );
  });

  it('D20 names settings of Rocket without effect in the environment, as in Rocket.toml, and starts', () => {
    const names = [...withoutEffect, 'limits'].map((name) => `ROCKET_${name.toUpperCase()}`);
    expect(names).toEqual(
      expect.arrayContaining(['ROCKET_LOG_LEVEL', 'ROCKET_WORKERS', 'ROCKET_KEEP_ALIVE']),
    );
    const environment = Object.fromEntries(names.map((name) => [name, '1']));
    expect(loadDecryptionsConfig(base, environment)).toEqual(loadDecryptionsConfig(base, {}));
    expect(ignoredVariables({ ...environment, ROCKET_PORT: '1', LOG_LEVEL: '1' })).toEqual(names);
    expect(ignoredVariables({ ROCKET_WORKERS: undefined })).toEqual([]);
  });

  it('D20 refuses an unknown variable, and one of Rocket on which an operator relies', () => {
    for (const [variable, hint] of [
      ['DECRYPTIONS_ZZZZZZZZ', 'docs/decryptions.md'],
      ['DECRYPTIONS_LOG_LEVEL', 'docs/decryptions.md'],
      ['ROCKET_LOG_LEVLE', 'docs/decryptions.md'],
      ['ROCKET_TLS', 'proxy'],
      ['ROCKET_CONFIG', '--config'],
    ] as const)
      expect(() => loadDecryptionsConfig(base, { [variable]: '1' })).toThrow(
        expect.objectContaining({ field: variable, hint: expect.stringContaining(hint) }),
      );
  });

  it('D20 accepts every known variable, and ignores variables of other programs', () => {
    const environment = { HOME: '/h', DECRYPTIONSPORT: '1', ROCKETEER: '1', XROCKET_PORT: '1' };
    expect(loadDecryptionsConfig(base, environment)).toMatchObject({ port: 8001 });
    expect(
      loadDecryptionsConfig(base, { ROCKET_PROFILE: 'testing', DECRYPTIONS_PROFILE: undefined }),
    ).toMatchObject({
      port: 0,
    });
  });

  it('D20 refuses an unknown profile and a wrong variable', () => {
    expect(() => loadDecryptionsConfig(base, {}, 'production')).toThrow(
      expect.objectContaining({ field: 'profile' }),
    );
    expect(() => loadDecryptionsConfig(base, { DECRYPTIONS_PORT: 'x' })).toThrow(
      expect.objectContaining({ field: 'port' }),
    );
  });

  const etcd = (settings: string): string => `default: { engine: { etcd: { ${settings} } } }`;
  const TLS = 'endpoints: ["https://a:2379", "https://b:2379"]';

  it('D20 an etcd cluster in the place of the store: no store and no password are needed, and none stay', () => {
    const config = loadDecryptionsConfig(etcd('endpoints: ["http://127.0.0.1:2379"]'), {});
    expect(config.engine?.etcd).toEqual({
      endpoints: ['http://127.0.0.1:2379'],
      prefix: 'latchkey/decryptions/',
      requestTimeoutMs: 3000,
    });
    expect([config.storePath, config.passwordFile]).toEqual([undefined, undefined]);
    const full = `${TLS}, prefix: "a/b/", tls: { caFile: /ca, certFile: /c, keyFile: /k }, user: { name: u, passwordFile: /p }`;
    expect(loadDecryptionsConfig(etcd(full), {}).engine?.etcd).toMatchObject({ prefix: 'a/b/' });
  });

  it.each([
    ['', 'default.engine.etcd.endpoints'],
    ['endpoints: []', 'default.engine.etcd.endpoints'],
    ['endpoints: ["127.0.0.1:2379"]', 'default.engine.etcd.endpoints.0'],
    ['endpoints: ["http://a"]', 'default.engine.etcd.endpoints.0'],
    ['endpoints: ["http://user:password@a:2379"]', 'default.engine.etcd.endpoints.0'],
    ['endpoints: ["http://a:2379/path"]', 'default.engine.etcd.endpoints.0'],
    ['endpoints: ["http://a:2379", "https://b:2379"]', 'engine.etcd.endpoints'],
    ['endpoints: ["http://a:2379", "http://a:2379"]', 'engine.etcd.endpoints'],
    ['endpoints: ["http://a:2379"], tls: { caFile: /ca }', 'engine.etcd.tls'],
    [`${TLS}, tls: { certFile: /c }`, 'engine.etcd.tls'],
    [`${TLS}, tls: { caFile: relative }`, 'default.engine.etcd.tls.caFile'],
    [`${TLS}, tls: { insecure: true }`, 'default.engine.etcd.tls'],
    [`${TLS}, prefix: "no-slash"`, 'default.engine.etcd.prefix'],
    [`${TLS}, prefix: "/"`, 'default.engine.etcd.prefix'],
    [`${TLS}, user: { name: u }`, 'default.engine.etcd.user.passwordFile'],
    [`${TLS}, requestTimeoutMs: 1`, 'default.engine.etcd.requestTimeoutMs'],
  ])('D20 refuses the cluster %j, naming %s', (settings, field) => {
    expect(() => loadDecryptionsConfig(etcd(settings), {})).toThrow(
      expect.objectContaining({ code: 'DECRYPTIONS_CONFIG_INVALID', field }),
    );
  });

  it('D20 refuses another engine, none, and bodies that etcd could not give back', () => {
    for (const [text, field] of [
      ['default: { engine: store }', 'default.engine'],
      ['default: { engine: {} }', 'default.engine.etcd'],
      [`${etcd(TLS)}\nrelease: { maxBodyBytes: 8388608 }`, 'maxBodyBytes'],
    ] as const)
      expect(() => loadDecryptionsConfig(text, {})).toThrow(expect.objectContaining({ field }));
  });
});
