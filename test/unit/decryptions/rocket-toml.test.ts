import { describe, expect, it } from 'vitest';
import { parseByteSize } from '../../../src/decryptions/byte-size.ts';
import { loadRocketConfig } from '../../../src/decryptions/decryptions-config.ts';

/** The keys, tables and values of the original's file, with a folder for each profile. */
const ORIGINAL = `
[default]
address = "0.0.0.0"
port = 8001
max_expected_oracle_delay_ms = 7000
log_level = "debug"

[debug]
db_path = "/tmp/zbc-oracle-db-contents"

[release]
db_path = "/var/zbc-oracle-db-contents"

[testing]
db_path = "/tmp/zbc-oracle-db-testing"
max_expected_oracle_delay_ms = 2
`;
const password = { DECRYPTIONS_PASSWORD_FILE: '/p' };
const load = (text: string, profile = 'release', environment = {}) =>
  loadRocketConfig(text, { ...password, ...environment }, profile);
const failure = (text: string) => {
  try {
    load(text);
    return undefined;
  } catch (error) {
    return error;
  }
};

describe("D22 Rocket.toml of the original's users", () => {
  it('D22 is read in each of its profiles', () => {
    const { config, ignored } = load(ORIGINAL);
    expect(config).toMatchObject({
      ...{ address: '0.0.0.0', port: 8001, maxExpectedOracleDelayMs: 7000 },
      ...{ storePath: '/var/zbc-oracle-db-contents', passwordFile: '/p', overwrite: true },
    });
    expect(ignored).toEqual(['default.log_level']);
    expect(load(ORIGINAL, 'debug').config.storePath).toBe('/tmp/zbc-oracle-db-contents');
    expect(load(ORIGINAL, 'testing').config).toMatchObject({
      storePath: '/tmp/zbc-oracle-db-testing',
      maxExpectedOracleDelayMs: 2,
    });
  });

  it('D22 default, then the profile, then global, then the environment', () => {
    const text = `default.port = 1\nrelease.port = 2\nglobal.port = 3\n[default]\ndb_path = "/s"\n`;
    // A dotted key and a table of one name are two definitions.
    expect(failure(text)).toMatchObject({ code: 'DECRYPTIONS_CONFIG_INVALID', field: 'file' });
    const tables = (...names: string[]) =>
      names.map((name, index) => `[${name}]\nport = ${index + 1}\ndb_path = "/s"\n`).join('');
    expect(load(tables('default')).config.port).toBe(1);
    expect(load(tables('default', 'release')).config.port).toBe(2);
    expect(load(tables('default', 'debug')).config.port).toBe(1);
    expect(load(tables('default', 'release', 'global')).config.port).toBe(3);
    expect(load(tables('global', 'release', 'default')).config.port).toBe(1);
    const environment = { ROCKET_PORT: '9' };
    expect(load(tables('default', 'release', 'global'), 'release', environment).config.port).toBe(9);
  });

  it('D22 the password file may stand in the file', () => {
    const text = '[default]\ndb_path = "/s"\npassword_file = "/secret"\n';
    expect(loadRocketConfig(text, {}, 'release').config.passwordFile).toBe('/secret');
    expect(() => loadRocketConfig(ORIGINAL, {}, 'release')).toThrow(
      expect.objectContaining({ field: 'passwordFile', hint: expect.stringContaining('PASSWORD_FILE') }),
    );
  });

  it('D22 the limit of JSON bodies is taken, and other limits are named', () => {
    const limits = (value: string) => load(`[default]\ndb_path = "/s"\nlimits = ${value}\n`);
    expect(limits('{ json = "2MiB" }').config.maxBodyBytes).toBe(2 * 1024 * 1024);
    expect(limits('{ json = 4096 }').config.maxBodyBytes).toBe(4096);
    const { config, ignored } = limits('{ form = "64 kB", "file/jpg" = "5MiB", json = "1.5KiB" }');
    expect([config.maxBodyBytes, ignored]).toEqual([
      1536,
      ['default.limits.form', 'default.limits.file/jpg'],
    ]);
  });

  it('D22 settings of Rocket without effect here are named', () => {
    const text = `[default]
db_path = "/s"
workers = 16
max_blocking = 512
keep_alive = 5
ident = "Rocket"
ip_header = "X-Real-IP"
secret_key = "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk="
temp_dir = "/tmp"
cli_colors = true
[release.shutdown]
grace = 2
`;
    expect(load(text).ignored).toEqual([
      ...[
        'workers',
        'max_blocking',
        'keep_alive',
        'ident',
        'ip_header',
        'secret_key',
        'temp_dir',
        'cli_colors',
      ].map((key) => `default.${key}`),
      'release.shutdown',
    ]);
  });

  it.each([
    ['[default]\nadress = "x"', 'default.adress', 'address'],
    [
      '[default]\nmax_expected_oracle_delay = 1',
      'default.max_expected_oracle_delay',
      'max_expected_oracle_delay_ms',
    ],
    ['[default]\nmaxWaiters = 1', 'default.maxWaiters', 'docs/decryptions.md'],
    ['[default]\nhasOwnProperty = 1', 'default.hasOwnProperty', 'docs/decryptions.md'],
    ['[default.tls]\ncerts = "c"\nkey = "k"', 'default.tls', 'proxy'],
    ['[default.limits]\njsn = 1', 'default.limits.jsn', 'json'],
    ['[relese]\nport = 1', 'relese', 'release'],
    ['[production]\nport = 1', 'production', 'docs/decryptions.md'],
    ['port = 1', 'port', 'default'],
    ['[[default]]\nport = 1', 'default', 'default'],
  ])('D22 refuses %j: %s, and says what to do', (text, field, hint) => {
    expect(failure(text)).toMatchObject({
      code: 'DECRYPTIONS_CONFIG_INVALID',
      field,
      hint: expect.stringContaining(hint),
    });
  });

  it.each([
    ['[default]\nport = 65536', 'default.port'],
    ['[default]\nport = "8001"', 'default.port'],
    ['[default]\nport = 8001.0', 'default.port'],
    ['[default]\nport = 99999999999999999999', 'default.port'],
    ['[default]\nport = 9223372036854775807', 'default.port'],
    ['[default]\nport = 1979-05-27', 'default.port'],
    ['[default]\naddress = ["a"]', 'default.address'],
    ['[default]\nmax_expected_oracle_delay_ms = -1', 'default.maxExpectedOracleDelayMs'],
    ['[default]\ndb_path = "relative"', 'default.storePath'],
    ['[default]\nlimits = 1', 'default.limits'],
    ['[default.limits]\njson = "1 MiB of it"', 'default.limits.json'],
    ['[default.limits]\njson = "9MiB"', 'default.maxBodyBytes'],
    ['[default.limits]\njson = 0', 'default.maxBodyBytes'],
    ['[testing]\nport = 65536', 'testing.port'],
    ['[default]\nport = 1\nport = 2', 'file'],
    ['[default]\n[default]', 'file'],
    ['[__proto__]\nport = 1', 'file'],
    ['[default]\n"__proto__" = 1', 'file'],
    ['default: { port: 1 }', 'file'],
    [`x = ${'['.repeat(2000)}`, 'file'],
  ])('D22 refuses %j, naming %s', (text, field) => {
    expect(failure(text)).toMatchObject({ code: 'DECRYPTIONS_CONFIG_INVALID', field });
  });

  it('D22 no error shows a line of the file, which may have a secret', () => {
    const error = failure('[default]\nsecret_key = "hPRYyVRi\nport = 1');
    expect(error).toBeInstanceOf(Error);
    expect(
      `${error} ${JSON.stringify(error)} ${error instanceof Error ? String(error.cause) : ''}`,
    ).not.toContain('hPRYyVRi');
  });
});

it.each([
  ['0', 0],
  ['17', 17],
  ['1MiB', 1_048_576],
  ['1mib', 1_048_576],
  ['2 MB', 2_000_000],
  ['1.5KiB', 1536],
  ['10B', 10],
  ['1 kB', 1000],
  ['3gib', 3 * 1024 ** 3],
  ['9999EiB', undefined],
  ['', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['1ib', undefined],
  ['1 M', undefined],
  ['.5MB', undefined],
  ['1MiB 2', undefined],
])('D22 the size %j is %s bytes', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});
