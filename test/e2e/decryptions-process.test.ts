import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { builtCli } from '../support/built-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';

const KEY = 'c3'.repeat(32);
const run = promisify(execFile);

interface Ready {
  readonly url: string;
  readonly metricsUrl?: string;
}

describe('D20 latchkey decryptions serve, as a process', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let child: ChildProcess | undefined;

  async function start(environment: Record<string, string> = {}, file = 'config.yaml'): Promise<Ready> {
    const args = [builtCli, 'decryptions', 'serve', '--config', join(folder.path, file)];
    const started = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'] ?? '', DECRYPTIONS_PROFILE: 'testing', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    let printed = '';
    let complaints = '';
    started.stderr.on('data', (part) => {
      complaints += part;
    });
    for await (const part of started.stdout) {
      printed += part;
      if (printed.includes('\n')) break;
    }
    if (printed === '') throw new Error(complaints);
    // The line that the command prints when it is ready.
    return JSON.parse(printed) as Ready;
  }

  async function stop(signal: NodeJS.Signals): Promise<number | null> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null) return null;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
    return running.exitCode;
  }

  beforeEach(async () => {
    folder = await tempFolder();
    const { path } = folder;
    await writeFile(join(path, 'password'), 'a long password\n');
    await writeFile(join(path, 'token'), 'a-token-of-some-length\n');
    await writeFile(
      join(path, 'config.yaml'),
      `default: { storePath: ${path}/store, passwordFile: ${path}/password, metricsPort: 0 }\n` +
        `release: { port: 0, writeAuthorization: { kind: bearer, tokenFile: ${path}/token } }\n`,
    );
  });
  afterEach(async () => {
    await stop('SIGKILL');
    await folder[Symbol.asyncDispose]();
  });

  it('D20, V13 curl as in the original README, metrics by outcome; SIGKILL and a restart keep acknowledged writes', async () => {
    let { url, metricsUrl } = await start();
    const curl = async (...args: readonly string[]): Promise<string> =>
      (await run('curl', ['-sS', '-w', ' %{http_code}', ...args])).stdout;
    const body = '{"value": 18446744073709551615, "signature": "YmJiYg"}';
    expect(await curl('-X', 'PUT', '-d', body, `${url}/decryption/${KEY}`)).toBe(' 200');
    expect(await curl(`${url}/decryption/${KEY}`)).toBe(
      '{"value":18446744073709551615,"signature":"YmJiYg=="} 200',
    );
    expect(await curl('-o', '/dev/null', `${url}/decryption/${'00'.repeat(32)}`)).toBe(' 404');
    expect(await curl(`${metricsUrl}/metrics`)).toContain(
      'latchkey_decryptions_lookups_total{outcome="hit"} 1',
    );
    await stop('SIGKILL');
    ({ url } = await start());
    expect(await curl(`${url}/decryption/${KEY}`)).toBe(
      '{"value":18446744073709551615,"signature":"YmJiYg=="} 200',
    );
    expect(await stop('SIGTERM')).toBe(0);
  }, 60_000);

  it('D21 another profile asks for a token; SIGTERM answers waiting requests', async () => {
    const { url, metricsUrl } = await start({ DECRYPTIONS_PROFILE: 'release' });
    const put = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${url}/decryption/${KEY}`, { method: 'PUT', headers, body: '[1,""]' });
    expect((await put({})).status).toBe(401);
    const waiting = fetch(`${url}/decryption/${KEY}`);
    expect((await put({ authorization: 'Bearer a-token-of-some-length' })).status).toBe(200);
    expect((await waiting).status).toBe(200);
    const other = fetch(`${url}/decryption/${'01'.repeat(32)}`);
    const metrics = async (): Promise<string> => (await fetch(`${metricsUrl}/metrics`)).text();
    while (!(await metrics()).includes('latchkey_decryptions_waiting 1'))
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await stop('SIGTERM')).toBe(0);
    expect((await other).status).toBe(503);
  }, 60_000);

  it('D22 a Rocket.toml with the keys and tables of the original; what has no effect is named', async () => {
    const { path } = folder;
    const text = `[default]\naddress = "127.0.0.1"\nport = 0\nlog_level = "debug"\n`;
    await writeFile(
      join(path, 'Rocket.toml'),
      `${text}[release]\ndb_path = "${path}/rocket"\nlimits = { json = "100B" }\n[global]\nmax_expected_oracle_delay_ms = 3\n`,
    );
    const environment = { ROCKET_PROFILE: 'release', DECRYPTIONS_PASSWORD_FILE: join(path, 'password') };
    const { url } = await start({ ...environment, DECRYPTIONS_PROFILE: 'release' }, 'Rocket.toml');
    const put = (signature: string) =>
      fetch(`${url}/decryption/${KEY}`, { method: 'PUT', body: JSON.stringify({ value: 1, signature }) });
    expect((await put('YmJiYg==')).status).toBe(200);
    expect((await put('YmJi'.repeat(40))).status).toBe(413);
    expect((await fetch(`${url}/decryption/${'00'.repeat(32)}`)).status).toBe(404);
    expect(await stop('SIGTERM')).toBe(0);
    const args = [builtCli, 'decryptions', 'config', '--config', join(path, 'Rocket.toml')];
    const { stdout, stderr } = await run(process.execPath, args, { env: environment });
    expect(JSON.parse(stdout)).toMatchObject({ storePath: `${path}/rocket`, maxBodyBytes: 100 });
    expect(stderr).toMatch(/^warning: default\.log_level of .*Rocket\.toml has no effect here$/m);
  }, 60_000);

  it('D22 a Rocket.toml of the working folder that is not read, and variables of Rocket, are named', async () => {
    const { path } = folder;
    await writeFile(join(path, 'Rocket.toml'), '[default]\nport = 4321\naddress = "0.0.0.0"\n');
    const env = {
      DECRYPTIONS_PASSWORD_FILE: join(path, 'password'),
      ROCKET_DB_PATH: join(path, 'rocket'),
      ROCKET_LOG_LEVEL: 'debug',
      ROCKET_WORKERS: '4',
    };
    const args = [builtCli, 'decryptions', 'config'];
    const { stdout, stderr } = await run(process.execPath, args, { cwd: path, env });
    expect(JSON.parse(stdout)).toMatchObject({ port: 8001, address: '127.0.0.1' });
    expect(stderr).toMatch(/^warning: .*\/Rocket\.toml is not read: --config Rocket\.toml reads it/m);
    expect(stderr).toMatch(/^warning: ROCKET_LOG_LEVEL has no effect here$/m);
    expect(stderr).toMatch(/^warning: ROCKET_WORKERS has no effect here$/m);
    // The warning comes first: what is missing may stand in that file.
    const missing = await run(process.execPath, args, { cwd: path, env: {} }).catch((error) => error);
    expect(missing.stderr).toMatch(/^warning: .*is not read[\s\S]*DECRYPTIONS_CONFIG_INVALID/);
    const named = [...args, '--config', 'Rocket.toml'];
    const read = await run(process.execPath, named, { cwd: path, env });
    expect(JSON.parse(read.stdout)).toMatchObject({ port: 4321 });
    expect(read.stderr).not.toContain('is not read');
  }, 60_000);

  it("D22 the original's database at db_path is left as it is", async () => {
    const { path } = folder;
    await mkdir(join(path, 'rocksdb'));
    await writeFile(join(path, 'rocksdb/CURRENT'), 'MANIFEST-000004\n');
    await writeFile(join(path, 'Rocket.toml'), `[default]\nport = 0\ndb_path = "${path}/rocksdb"\n`);
    await expect(start({ DECRYPTIONS_PASSWORD_FILE: join(path, 'password') }, 'Rocket.toml')).rejects.toThrow(
      /STORE_/,
    );
    await stop('SIGKILL');
    expect(await readdir(join(path, 'rocksdb'))).toEqual(['CURRENT']);
  }, 60_000);

  it('D20 a wrong configuration ends the process with its error code', async () => {
    await writeFile(join(folder.path, 'config.yaml'), 'default: { port: no }');
    await expect(start()).rejects.toThrow('DECRYPTIONS_CONFIG_INVALID');
    await stop('SIGKILL');
  }, 60_000);
});
