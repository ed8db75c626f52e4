// Schemathesis (https://schemathesis.readthedocs.io) sends generated requests, good and bad, to a running node of its own,
// and compares each answer with openapi.json and openapi-agent.json. Usage:
//   npx tsx scripts/schemathesis.ts [--seconds S] [--examples N] [--seed N] [--or-skip] [--only openapi|openapi-agent]
// S seconds for each of the two descriptions, N generated requests for each route. Needs Python 3 with venv and pip.
// Exit 1 when an answer differs from its description; with --or-skip 0 when Schemathesis cannot be installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { silentLog } from '../src/observe/log.ts';
import { startRunningNode } from '../test/support/running-node.ts';

const VERSION = '4.32.5';

/**
 * A node that is alone answers 503 where it needs others, as described. `positive_data_acceptance` is left out: a field may
 * match its schema and be refused by its value, for example a point of small order; that answer is a described 400.
 */
const SETTINGS = `[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
positive_data_acceptance.enabled = false
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '300' },
    examples: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    'or-skip': { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
if (values.only !== undefined && !['openapi', 'openapi-agent'].includes(values.only)) {
  console.error(`--only must be openapi or openapi-agent, got '${values.only}'`);
  process.exit(2);
}
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'latchkey-schemathesis-'));

/** Installs Schemathesis into a folder of its own. @returns the path of its command, or why there is none. */
function install(): { readonly command: string } | { readonly reason: string } {
  const venv = join(folder, 'venv');
  for (const [program, args] of [
    ['python3', ['-m', 'venv', venv]],
    [join(venv, 'bin/pip'), ['install', '--quiet', `schemathesis==${VERSION}`]],
  ] as const) {
    const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) return { reason: `${program} ${args.join(' ')}: ${error?.message ?? stderr}` };
  }
  return { command: join(venv, 'bin/schemathesis') };
}

/** Schemathesis knows no Unix sockets: passes each TCP connection on to one. */
async function startSocketDoor(socketPath: string): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((client) => {
    const agent = connect(socketPath);
    const ignore = (): void => undefined;
    pipeline(client, agent, ignore);
    pipeline(agent, client, ignore);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server on an IP port has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

/** @returns whether every answer is as described. */
async function compare(command: string, name: string, url: string): Promise<boolean> {
  const settings = join(folder, 'schemathesis.toml');
  writeFileSync(settings, SETTINGS);
  const bounds = ['--max-time', values.seconds, '--max-examples', values.examples, '--seed', values.seed];
  const phases = [
    '--phases',
    'examples,coverage,fuzzing',
    '--continue-on-failure',
    '--request-timeout',
    '30',
  ];
  const args = ['--config-file', settings, 'run', join(root, `${name}.json`), '--url', url];
  const all = [...args, ...bounds, ...phases, '--no-color', '--warnings', 'off'];
  console.log(`\n=== ${name}.json at ${url}`);
  const child = spawn(command, all, { cwd: folder, stdio: 'inherit' });
  const [code] = await once(child, 'close');
  return code === 0;
}

async function main(): Promise<number> {
  const installed = install();
  if ('reason' in installed) {
    console.error(`SKIPPED: Schemathesis cannot be installed: ${installed.reason}`);
    return values['or-skip'] ? 0 : 1;
  }
  await using running = await startRunningNode(silentLog);
  const door = await startSocketDoor(join(running.folder, 'agent.sock'));
  const targets = [
    ['openapi', running.url],
    ['openapi-agent', door.url],
  ] as const;
  const failed: string[] = [];
  try {
    for (const [name, url] of targets) {
      if (values.only !== undefined && values.only !== name) continue;
      if (!(await compare(installed.command, name, url))) failed.push(`${name}.json`);
    }
  } finally {
    door.close();
  }
  console.log(failed.length === 0 ? 'every answer is as described' : `differences from ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

const code = await main().finally(() => rmSync(folder, { recursive: true, force: true }));
process.exit(code);
