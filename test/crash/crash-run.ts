import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { equalBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import type { Namespace } from '../../src/store/api/store-api.ts';
import { openStore } from '../support/disk-store.ts';
import { batchNames, type CrashOrder, counterName, expectedValue, WRITERS } from './crash-records.ts';

/** What a killed child had acknowledged. */
interface Acknowledged {
  readonly records: string[];
  readonly batches: (readonly [round: number, writer: number])[];
  readonly counters: Map<number, number>;
}

/** Starts a child that waits for its order; starting takes longer than its life, so have the next one ready. */
export function startChild(program: string): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** When to kill: so long after the child opened the store, or after its first or thousandth acknowledgement. */
export interface KillTime {
  readonly after: 'open' | 'first' | 'thousandth';
  readonly milliseconds: number;
}

/** Gives the order, kills the child, and reads what it had acknowledged. */
export async function runAndKill(
  process: ChildProcessWithoutNullStreams,
  order: Omit<CrashOrder, 'key'> & { readonly key: SecretBytes },
  { after, milliseconds }: KillTime,
): Promise<Acknowledged> {
  const problems: Buffer[] = [];
  const exited = once(process, 'close');
  process.stderr.on('data', (chunk: Buffer) => problems.push(chunk));
  const reached = new Promise<void>((resolve) => {
    let output = '';
    process.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(after)) resolve();
    });
  });
  process.stdin.write(`${JSON.stringify({ ...order, key: toHex(order.key.reveal()) })}\n`);
  await Promise.race([reached, exited]);
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  process.kill('SIGKILL');
  const [, signal] = await exited;
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${Buffer.concat(problems)}`);
  return parseAcknowledged(readFileSync(order.acknowledgements, 'utf8'));
}

function parseAcknowledged(text: string): Acknowledged {
  const records: string[] = [];
  const batches: [number, number][] = [];
  const counters = new Map<number, number>();
  // Text after the last newline is a line that the kill cut off.
  for (const line of text.split('\n').slice(0, -1)) {
    const [kind, first = '', second = ''] = line.split(' ');
    if (kind === 'record') records.push(first);
    else if (kind === 'batch') batches.push([Number(first), Number(second)]);
    else if (kind === 'counter') counters.set(Number(first), Number(second));
  }
  return { records, batches, counters };
}

/**
 * Opens what the killed child left and looks for broken promises.
 * @returns one line for each.
 */
export async function brokenPromises(
  path: string,
  key: SecretBytes,
  run: number,
  acknowledged: Acknowledged,
): Promise<string[]> {
  const store = await openStore(nodeFileSystem, path, key);
  try {
    const records = await store.namespace('records');
    return [
      ...(await missingRecords(records, acknowledged)),
      ...(await wrongValues(records, run)),
      ...(await halfBatches(records, run, acknowledged)),
      ...(await wrongCounters(records, run, acknowledged)),
    ];
  } finally {
    await store.close();
  }
}

async function missingRecords(records: Namespace, { records: names }: Acknowledged): Promise<string[]> {
  return names.filter((name) => !records.has(name)).map((name) => `acknowledged, and lost: ${name}`);
}

async function wrongValues(records: Namespace, run: number): Promise<string[]> {
  const wrong: string[] = [];
  for (const prefix of [`single/${run}/`, `batch/${run}/`])
    for await (const [name, value] of records.entries({ prefix }))
      if (!equalBytes(value, expectedValue(name))) wrong.push(`wrong value: ${name}`);
  return wrong;
}

async function halfBatches(records: Namespace, run: number, { batches }: Acknowledged): Promise<string[]> {
  const found = new Map<string, number>();
  for (const name of records.names({ prefix: `batch/${run}/` })) {
    const [, , round, writer] = name.split('/');
    found.set(`${round} ${writer}`, (found.get(`${round} ${writer}`) ?? 0) + 1);
  }
  const size = batchNames(0, 0, 0).length;
  return [
    ...[...found].filter(([, count]) => count !== size).map(([batch]) => `half a batch: ${batch}`),
    ...batches
      .filter(([round, writer]) => found.get(`${round} ${writer}`) !== size)
      .map(([round, writer]) => `acknowledged batch lost: ${round} ${writer}`),
  ];
}

async function wrongCounters(records: Namespace, run: number, { counters }: Acknowledged): Promise<string[]> {
  const wrong: string[] = [];
  for (let writer = 0; writer < WRITERS; writer++) {
    const value = await records.get(counterName(run, writer));
    const found = value === undefined ? 0 : Buffer.from(value).readUInt32BE();
    const known = counters.get(writer) ?? 0;
    // A round is started only when the one before was acknowledged, though the line saying so may have been cut.
    if (found < known || found > known + 2)
      wrong.push(`counter of ${writer}: ${found}, acknowledged ${known}`);
  }
  return wrong;
}
