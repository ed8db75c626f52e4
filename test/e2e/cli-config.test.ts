import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configTemplate, templateWith } from '../../src/config/template.ts';
import { builtCli } from '../support/built-cli.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);
const genesisHash = `0x${'ab'.repeat(32)}`;
const filled = templateWith({ recover: 'bound' }).replace(`0x${'00'.repeat(32)}`, genesisHash);

describe('latchkey config, --version and doctor', { timeout: 120_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const write = (name: string, text: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  };

  beforeAll(async () => {
    folder = await tempFolder();
  });
  afterAll(async () => {
    await folder?.[Symbol.asyncDispose]();
  });

  it('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runLatchkey(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it('the unchanged template is refused, the completed template is accepted', async () => {
    const refused = await runLatchkey([
      'config',
      'check',
      '--config',
      write('template.yaml', configTemplate),
    ]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('trust.platforms.recover');
    expect(refused.stderr).toContain('bound, endorsed or any');
    const without = await runLatchkey([
      'config',
      'check',
      '--config',
      write('t.yaml', templateWith({ recover: 'any' })),
    ]);
    expect(without.stderr).toContain('trust.chain.genesisHash');
    const good = await runLatchkey(['config', 'check', '--config', write('good.yaml', filled)]);
    expect(good.stdout).toContain('good; trust hash');
    expect(good.stderr).toContain('warning: trust.chain.checkpoint');
    expect(good.stderr).toContain(
      'warning: trust.platforms.recover is "bound" and there is no trust.authority',
    );
  });

  it('config init takes the rule for recovery; any is shouted, endorsed needs an authority', async () => {
    const printed = async (rule: string) => (await runLatchkey(['config', 'init', '--recover', rule])).stdout;
    expect(await printed('bound')).toBe(templateWith({ recover: 'bound' }));
    expect((await runLatchkey(['config', 'init', '--recover', 'choose'])).code).not.toBe(0);
    const { stdout: forFive } = await runLatchkey(['config', 'init', '--recover', 'bound', '--nodes', '5']);
    expect(forFive).toBe(templateWith({ recover: 'bound', nodes: 5 }));
    for (const nodes of ['1', '2.5'])
      expect((await runLatchkey(['config', 'init', '--nodes', nodes])).stderr).toContain('from 2');
    const checked = async (rule: string) => {
      const text = (await printed(rule)).replace(`0x${'00'.repeat(32)}`, genesisHash);
      return runLatchkey(['config', 'check', '--config', write(`${rule}.yaml`, text)]);
    };
    expect((await checked('any')).stderr).toContain('warning: ANY MACHINE RECOVERS');
    expect((await checked('endorsed')).stderr).toContain('trust.authority');
  });

  it('a socket path that is too long is refused by name; 107 bytes are accepted', async () => {
    const withPath = (path: string) => `${filled}\nagent: { socketPath: ${path} }\n`;
    const long = await runLatchkey([
      'config',
      'check',
      '--config',
      write('l.yaml', withPath(`/${'a'.repeat(107)}`)),
    ]);
    expect(long.code).toBe(2);
    expect(long.stderr).toContain('CONFIG_INVALID: agent.socketPath');
    expect(long.stderr).not.toContain('    at ');
    const short = await runLatchkey([
      'config',
      'check',
      '--config',
      write('s.yaml', withPath(`/${'a'.repeat(106)}`)),
    ]);
    expect(short.code).toBe(0);
    const deep = join(folder.path, 'd'.repeat(60), 'd'.repeat(60));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, 'latchkey.yaml'), filled);
    const derived = await runLatchkey(['serve', '--config', join(deep, 'latchkey.yaml')]);
    expect(derived.stderr).toContain('CONFIG_INVALID: agent.socketPath');
  });

  it('warns about a token that others can read', async () => {
    const token = write('token', 'a-long-enough-token-of-this-test\n');
    const section = 'decryptions: { writeAuthorization: { kind: bearer, tokenFile: ./token } }';
    const config = write('token.yaml', `${filled}\n${section}\n`);
    chmodSync(token, 0o644);
    expect((await runLatchkey(['config', 'check', '--config', config])).stderr).toContain('chmod 600');
    chmodSync(token, 0o600);
    expect((await runLatchkey(['config', 'check', '--config', config])).stderr).not.toContain('chmod 600');
  });

  it('serve, unlock and restore refuse variables that change the process', async () => {
    const config = write('env.yaml', filled);
    const env = { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: '--no-deprecation' };
    for (const args of [['serve'], ['unlock'], ['restore', '--from', '/dev/null']]) {
      const refused = run(process.execPath, [builtCli, ...args, '--config', config], { env });
      await expect(refused, args[0]).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining('ENVIRONMENT_REFUSED'),
      });
    }
  });

  it('serve refuses flags of Node in each spelling, and starts with those that a service may have', async () => {
    const config = write('flags.yaml', 'nonsense: true');
    const env = { PATH: process.env['PATH'] ?? '' };
    const started = (...flags: readonly string[]) =>
      run(process.execPath, [...flags, builtCli, 'serve', '--config', config], { env }).catch(
        (error: { stderr: string }) => error,
      );
    for (const flag of ['--heapsnapshot_signal=SIGUSR2', '--tls_keylog=/dev/null', '--conditions=evil'])
      expect((await started(flag)).stderr, flag).toContain('ENVIRONMENT_REFUSED');
    expect((await started('--max_old_space_size=512', '--no-warnings')).stderr).toContain('CONFIG_INVALID');
  });

  it('doctor lists every problem and every input, as text and as JSON', async () => {
    const config = write('doctor.yaml', filled);
    const env = { PATH: process.env['PATH'] ?? '', NODE_NO_WARNINGS: '1', NODE_DEBUG: 'x' };
    const asked = run(process.execPath, [builtCli, 'doctor', '--config', config, '--json'], { env });
    const { code, stdout } = await asked.then(
      (done) => ({ code: 0, ...done }),
      (error: { code: number; stdout: string }) => error,
    );
    expect(code).toBe(1);
    const { findings, inputs } = JSON.parse(stdout);
    const levelOf = (check: string) =>
      findings.find((found: { check: string }) => found.check === check)?.level;
    expect(levelOf('chain')).toBe('wrong');
    expect(levelOf('trust-hash')).toBe('wrong');
    expect(levelOf('environment')).toBe('wrong');
    expect(levelOf('socket')).toBe('good');
    expect(inputs.length).toBeGreaterThan(10);
  });
});
