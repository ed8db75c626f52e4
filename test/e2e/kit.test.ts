import { execFile, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/observe/log.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { type RunningNode, startRunningNode } from '../support/running-node.ts';

const run = promisify(execFile);
const kit = fileURLToPath(new URL('../../kit', import.meta.url));
const succeeds = (program: string, args: readonly string[]): boolean => spawnSync(program, args).status === 0;
const hasPython = succeeds('python3', ['-c', 'import cryptography, nacl.bindings']);

/**
 * Whether cargo is there and has all crates or can get them. Other failures than those of the network do not count here:
 * the tests fail by them.
 */
function canBuildRust(): boolean {
  const args = ['fetch', '--locked', '--manifest-path', join(kit, 'rust/Cargo.toml')];
  const { error, status, stderr } = spawnSync('cargo', args, { encoding: 'utf8', timeout: 120_000 });
  if (error !== undefined) return false;
  return status === 0 || !/network|download/.test(stderr);
}
const hasRust = canBuildRust();

let running: RunningNode;
/** As `npm start -- --network --json` prints it; for clients in other languages. */
let network: string;
beforeAll(async () => {
  running = await startRunningNode(silentLog);
  const info: unknown = await (await fetch(`${running.url}/info`)).json();
  // The route's own schema says what it has.
  const { accountId, x25519PublicKey } = info as Readonly<Record<string, string>>;
  const servers = [{ accountId, x25519PublicKey, endpoint: running.url }];
  network = JSON.stringify({ ready: true, servers, quoteProvider: running.mockTdx.url });
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
});

describe('latchkey conformance --server', () => {
  it('finds nothing in a running node', async () => {
    const args = ['conformance', '--server', running.url, '--quotes', running.mockTdx.url];
    const { code, stdout, stderr } = await runLatchkey(args);
    expect(stderr).toBe('');
    expect(stdout).not.toContain('FAILED');
    expect(stdout).toMatch(/^(\d+) of \1 rules hold$/m);
    expect(code).toBe(0);
  });

  it('names the rules that do not hold, and ends with 1', async () => {
    const other = `0x${'09'.repeat(32)}`;
    const address = ['--server', running.url, '--quotes', running.mockTdx.url];
    const { code, stdout } = await runLatchkey([
      'conformance',
      ...address,
      '--x25519-public-key',
      other,
      '--json',
    ]);
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(results.find(({ name }) => name === 'plain-key')).toMatchObject({ ok: false });
    expect(results.find(({ name }) => name === 'debug-td')).toMatchObject({ ok: true });
    expect(code).toBe(1);
  });

  it('ends with 2 when there is no server', async () => {
    const { code } = await runLatchkey([
      'conformance',
      '--server',
      'http://127.0.0.1:1',
      '--quotes',
      running.mockTdx.url,
    ]);
    expect(code).toBe(2);
  });
});

describe.skipIf(!hasPython)('the client in Python', () => {
  const options = () => ({
    cwd: join(kit, 'python'),
    env: { ...process.env, LATCHKEY_NETWORK: network, PYTHONDONTWRITEBYTECODE: '1' },
  });

  it('agrees with the vectors, and speaks with a running node', { timeout: 120_000 }, async () => {
    const { stderr } = await run('python3', ['-m', 'unittest', '-v'], options());
    expect(stderr).toMatch(/^OK$/m);
    expect(stderr).not.toContain('skipped');
  });

  it('has an example that runs', { timeout: 120_000 }, async () => {
    const { stdout } = await run('python3', ['example.py'], options());
    expect(stdout).toBe('1 keys created and linked\n1 keys recovered\n');
  });
});

describe.skipIf(!hasRust)('the client in Rust', () => {
  const options = () => ({
    cwd: join(kit, 'rust'),
    env: {
      ...process.env,
      LATCHKEY_NETWORK: network,
      CARGO_TARGET_DIR: process.env['CARGO_TARGET_DIR'] ?? join(tmpdir(), 'latchkey-kit-target'),
    },
  });

  it('agrees with the vectors', { timeout: 900_000 }, async () => {
    const { stdout } = await run('cargo', ['test', '--locked', '--quiet'], options());
    expect(stdout).toContain('4 passed; 0 failed');
  });

  it('has an example that speaks with a running node', { timeout: 900_000 }, async () => {
    const { stdout } = await run('cargo', ['run', '--locked', '--quiet', '--example', 'node'], options());
    expect(stdout).toBe(
      '1 keys created and linked\n1 keys recovered\na wrong proof is refused: RECOVERY_PROOF_WRONG\n1 keys erased\n',
    );
  });
});
