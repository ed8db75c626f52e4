import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../src/observe/log.ts';
import { askAgent } from '../support/ask-agent.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { type RunningNode, startRunningNode } from '../support/running-node.ts';

const run = promisify(execFile);
const kit = fileURLToPath(new URL('../../kit', import.meta.url));
const succeeds = (program: string, args: readonly string[]): boolean => spawnSync(program, args).status === 0;
const hasPython = succeeds('python3', ['-c', 'import cryptography, nacl.bindings']);

/**
 * Whether cargo is there, new enough, and has all crates or can get them. Other failures than those of the network do not
 * count here: the tests fail by them.
 */
function canBuildRust(): boolean {
  if (!isCargoNewEnough()) return false;
  const args = ['fetch', '--locked', '--manifest-path', join(kit, 'rust/Cargo.toml')];
  const { error, status, stderr } = spawnSync('cargo', args, { encoding: 'utf8', timeout: 120_000 });
  if (error !== undefined) return false;
  return status === 0 || !/network|download/.test(stderr);
}
const hasRust = canBuildRust();

/** Compares the installed cargo with the `rust-version` of the crate. */
function isCargoNewEnough(): boolean {
  const { error, stdout } = spawnSync('cargo', ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return false;
  const manifest = readFileSync(join(kit, 'rust/Cargo.toml'), 'utf8');
  const minorIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  return minorIn(stdout, /^cargo 1\.(\d+)/) >= minorIn(manifest, /^rust-version = "1\.(\d+)"/m);
}

/** Whether Go is there, new enough, and has the modules or can get them. */
function canBuildGo(): boolean {
  const options = { cwd: join(kit, 'go'), encoding: 'utf8', timeout: 120_000 } as const;
  const { error, status, stderr } = spawnSync('go', ['mod', 'download'], options);
  if (error !== undefined) return false;
  return status === 0 || !/dial tcp|proxy|toolchain|invalid go version|requires go/.test(stderr);
}
const hasGo = canBuildGo();

/** Tries all rules on a client. @returns what was printed of rules that do not hold, and the last line. */
async function failuresOf(command: string): Promise<{ readonly failed: string[]; readonly last: string }> {
  const args = ['conformance', '--quotes', running.mockTdx.url, '--client', command];
  const { stdout } = await runLatchkey(args);
  const lines = stdout.trim().split('\n');
  return { failed: lines.filter((line) => line.startsWith('FAILED')), last: lines.at(-1) ?? '' };
}
const WITHOUT_ATTESTATION = /^67 of 74 rules hold, 7 skipped$/;
const targetFolder = process.env['CARGO_TARGET_DIR'] ?? join(tmpdir(), 'latchkey-kit-target');

let running: RunningNode;
/** As `npm start -- --network --json` prints it; for clients in other languages. */
let network: string;
let agentSocket: string;
/** What the example of each agent's client prints at a node that is alone. */
const AGENT_EXAMPLE = /^the node is "?unbacked"?\n7 bytes read\nno decryption: RITUAL_NOT_ACTIVE\n$/;
beforeAll(async () => {
  running = await startRunningNode(silentLog);
  const servers = [await serverOf(running)];
  network = JSON.stringify({ ready: true, servers, quoteProvider: running.mockTdx.url });
  agentSocket = join(running.folder, 'agent.sock');
  for (const id of [7001, 7002, 7003]) await activate(id);
});

/** Makes a ritual active for the validator 0xA, as the program does that follows the chain. */
async function activate(id: number): Promise<void> {
  const numbers = { dkgSize: 1, threshold: 1, totalAggregations: 1, initTimestamp: 1 };
  const active = { ...numbers, endTimestamp: 2 ** 40, aggregatedTranscript: 'dA==', publicKey: 'cA==' };
  const validators = [{ address: '0xA', publicKey: 'aw==' }];
  for (const [path, body] of Object.entries({ active, validators: { validators } }))
    expect((await askAgent(agentSocket, 'PUT', `/rituals/${id}/${path}`, body))?.status).toBe(200);
}

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

describe('latchkey conformance --client', () => {
  it('finds nothing in the client of latchkey/client', { timeout: 900_000 }, async () => {
    const { failed, last } = await failuresOf(`node ${join(kit, 'typescript/conformance.mjs')}`);
    expect(failed).toEqual([]);
    expect(last).toBe('74 of 74 rules hold');
  });

  it('finds a command that is no client, and ends with 1', { timeout: 300_000 }, async () => {
    const quotes = ['--quotes', running.mockTdx.url];
    const { code, stdout } = await runLatchkey(['conformance', ...quotes, '--client', 'exit 3', '--json']);
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(results.filter(({ ok }) => ok)).toEqual([]);
    expect(results[0]).toMatchObject({ name: 'good-run', reason: expect.stringContaining('ends with 3') });
    expect(code).toBe(1);
  });

  it('ends a client that does not end, with what it started', { timeout: 300_000 }, async () => {
    const pids = join(running.folder, 'pids');
    const command = `sleep 1000 & echo $! >> ${pids}; wait`;
    const quotes = ['--quotes', running.mockTdx.url];
    const finished = runLatchkey(['conformance', ...quotes, '--timeout', '0.2', '--client', command]);
    expect((await finished).stdout).toMatch(/^FAILED {2}good-run: the client does not end$/m);
    const started = (await readFile(pids, 'utf8')).trim().split('\n').map(Number);
    const isAlive = (pid: number): boolean => succeeds('kill', ['-0', `${pid}`]);
    await vi.waitFor(() => expect(started.filter(isAlive)).toEqual([]), 30_000);
  });

  it('refuses to try both or neither', async () => {
    const { code, stderr } = await runLatchkey(['conformance', '--quotes', running.mockTdx.url]);
    expect(stderr).toContain('either --server or --client');
    expect(code).not.toBe(0);
  });
});

describe('a network of several nodes, one of which is silent', () => {
  const steps = ['create', 'link', 'recover', 'reserve', 'claim', 'status', 'update', 'forget'];
  const nodes: RunningNode[] = [];
  const silent = createServer();
  let scenario: string;
  let names: string[];

  beforeAll(async () => {
    const first = await startRunningNode(silentLog);
    nodes.push(first);
    for (const platform of [2, 3]) nodes.push(await startRunningNode(silentLog, { beside: first, platform }));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const servers = await Promise.all(nodes.map(serverOf));
    const address = silent.address();
    if (address === null || typeof address === 'string') throw new TypeError('listens on TCP only');
    const hex = (length: number): string => `0x${randomBytes(length).toString('hex')}`;
    servers.splice(1, 0, {
      accountId: hex(32),
      x25519PublicKey: hex(32),
      endpoint: `http://127.0.0.1:${address.port}`,
    });
    names = servers.map(({ accountId }) => accountId);
    const known = { quoteProvider: first.mockTdx.url, rootCertificate: first.mockTdx.rootPem };
    const chain = { finalized: { number: 1, hash: hex(32) }, maxBlocksBehind: 100 };
    const own = { account: hex(32), lineageSecret: hex(32), timeMs: Date.now(), timeoutMs: 5_000 };
    scenario = JSON.stringify({ version: 1, ...own, ...known, ...chain, servers, steps });
  });

  afterAll(async () => {
    silent.close();
    for (const node of nodes.reverse()) await node[Symbol.asyncDispose]();
  });

  const clients = [
    ['TypeScript', true, `node ${join(kit, 'typescript/conformance.mjs')}`],
    ['Python', hasPython, `python3 -B ${join(kit, 'python/conformance.py')}`],
    ['Go', hasGo, `cd ${join(kit, 'go')} && go run ./conformance`],
    [
      'Rust',
      hasRust,
      `cargo run --locked --quiet --manifest-path ${join(kit, 'rust/Cargo.toml')} --example conformance`,
    ],
  ] as const;
  it.each(clients.filter(([, isThere]) => isThere))(
    'the client in %s takes all steps at the others',
    {
      timeout: 900_000,
    },
    async (_, __, command) => {
      const account = `0x${randomBytes(32).toString('hex')}`;
      const told = JSON.stringify({ ...JSON.parse(scenario), account });
      const env = { ...process.env, LATCHKEY_CONFORMANCE: told, CARGO_TARGET_DIR: targetFolder };
      const { stdout } = await run('sh', ['-c', command], { env });
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      const ends = lines.map(({ step, server, ok }) => `${step} ${names.indexOf(server)} ${ok}`).sort();
      const good = steps.flatMap((step) => [0, 2, 3].map((server) => `${step} ${server} true`));
      expect(ends).toEqual([...good, 'create 1 false'].sort());
      expect(lines.find(({ ok }) => !ok)).toMatchObject({ reason: 'unreachable' });
    },
  );
});

/** What the chain would say of a node. */
async function serverOf({ url }: RunningNode) {
  const info: unknown = await (await fetch(`${url}/info`)).json();
  // The route's own schema says what it has.
  const { accountId = '', x25519PublicKey = '' } = info as Readonly<Record<string, string>>;
  return { accountId, x25519PublicKey, endpoint: url };
}

describe.skipIf(!hasGo)('the client in Go', () => {
  const binary = () => join(running.folder, 'go-client');
  const options = () => ({
    cwd: join(kit, 'go'),
    env: { ...process.env, LATCHKEY_NETWORK: network, LATCHKEY_AGENT: agentSocket },
  });

  it('agrees with the vectors, and speaks with an agent', { timeout: 900_000 }, async () => {
    const { stdout } = await run('go', ['test', '-count=1', '-v', '.'], options());
    expect(stdout).toMatch(/^ok/m);
    expect(stdout).not.toContain('SKIP');
  });

  it('is formatted, and go vet finds nothing', { timeout: 900_000 }, async () => {
    expect((await run('gofmt', ['-l', '.'], options())).stdout).toBe('');
    await run('go', ['vet', './...'], options());
  });

  it('has an example that speaks with a running node', { timeout: 900_000 }, async () => {
    const { stdout } = await run('go', ['run', './example'], options());
    expect(stdout).toBe(
      '1 keys created and linked\n1 keys recovered\nboot 2 is shown, boot 1 is replaced\n' +
        'a wrong proof is refused: RECOVERY_PROOF_WRONG\n1 keys erased\n',
    );
  });

  it('keeps the rules of a client', { timeout: 900_000 }, async () => {
    await run('go', ['build', '-o', binary(), './conformance'], options());
    const { failed, last } = await failuresOf(binary());
    expect(failed).toEqual([]);
    expect(last).toMatch(WITHOUT_ATTESTATION);
  });
});

describe.skipIf(!hasPython)('the client in Python', () => {
  const options = () => ({
    cwd: join(kit, 'python'),
    env: {
      ...process.env,
      LATCHKEY_NETWORK: network,
      LATCHKEY_AGENT: agentSocket,
      PYTHONDONTWRITEBYTECODE: '1',
    },
  });

  it('agrees with the vectors, and speaks with a running node and its agent', {
    timeout: 120_000,
  }, async () => {
    const { stderr } = await run('python3', ['-m', 'unittest', '-v'], options());
    expect(stderr).toMatch(/^OK$/m);
    expect(stderr).not.toContain('skipped');
  });

  it('has an example that runs', { timeout: 120_000 }, async () => {
    const { stdout } = await run('python3', ['example.py'], options());
    expect(stdout).toBe('1 keys created and linked\n1 keys recovered\nboot 2 is shown\n');
    expect((await run('python3', ['agent_example.py'], options())).stdout).toMatch(AGENT_EXAMPLE);
  });

  it('keeps the rules of a client', { timeout: 900_000 }, async () => {
    const { failed, last } = await failuresOf(`python3 ${join(kit, 'python/conformance.py')}`);
    expect(failed).toEqual([]);
    expect(last).toMatch(WITHOUT_ATTESTATION);
  });
});

describe.skipIf(!hasRust)('the client in Rust', () => {
  const options = () => ({
    cwd: join(kit, 'rust'),
    env: {
      ...process.env,
      LATCHKEY_NETWORK: network,
      LATCHKEY_AGENT: agentSocket,
      CARGO_TARGET_DIR: targetFolder,
    },
  });

  it('agrees with the vectors, and speaks with an agent', { timeout: 900_000 }, async () => {
    const { stdout } = await run('cargo', ['test', '--locked', '--quiet'], options());
    // In the order of the files: the crate's own tests, the agent, the exchange, the vectors.
    expect(stdout.match(/(\d+) passed; 0 failed/g)).toEqual([
      '5 passed; 0 failed',
      '9 passed; 0 failed',
      '3 passed; 0 failed',
      '6 passed; 0 failed',
      '0 passed; 0 failed',
    ]);
    // The ritual is revoked: the test has spoken with the agent.
    const gone = await askAgent(agentSocket, 'POST', '/rituals/7001/decryption', { validator: '0xA' });
    expect(gone?.json['code']).toBe('RITUAL_NOT_FOUND');
  });

  it.skipIf(!succeeds('cargo', ['clippy', '--version']))(
    'clippy finds nothing',
    { timeout: 900_000 },
    async () => {
      await run(
        'cargo',
        ['clippy', '--locked', '--quiet', '--all-targets', '--', '-D', 'warnings'],
        options(),
      );
    },
  );

  it('has an example that speaks with a running node', { timeout: 900_000 }, async () => {
    const { stdout } = await run('cargo', ['run', '--locked', '--quiet', '--example', 'node'], options());
    expect(stdout).toBe(
      '1 keys created and linked\n1 keys recovered\nboot 2 is shown, boot 1 is replaced\n' +
        'a wrong proof is refused: RECOVERY_PROOF_WRONG\n1 keys erased\n',
    );
    const agent = await run('cargo', ['run', '--locked', '--quiet', '--example', 'agent'], options());
    expect(agent.stdout).toMatch(AGENT_EXAMPLE);
  });

  it('keeps the rules of a client', { timeout: 900_000 }, async () => {
    await run('cargo', ['build', '--locked', '--quiet', '--example', 'conformance'], options());
    const { failed, last } = await failuresOf(
      join(options().env.CARGO_TARGET_DIR, 'debug/examples/conformance'),
    );
    expect(failed).toEqual([]);
    expect(last).toMatch(WITHOUT_ATTESTATION);
  });
});
