import { describe, expect, it } from 'vitest';
import { loadDecryptionsConfig } from '../../../src/decryptions/decryptions-config.ts';

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

  it('D20 listens on loopback on port 8001 and lets everybody write unless told otherwise', () => {
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

  it('D20 refuses an unknown profile and a wrong variable', () => {
    expect(() => loadDecryptionsConfig(base, {}, 'production')).toThrow(
      expect.objectContaining({ field: 'profile' }),
    );
    expect(() => loadDecryptionsConfig(base, { DECRYPTIONS_PORT: 'x' })).toThrow(
      expect.objectContaining({ field: 'port' }),
    );
  });
});
