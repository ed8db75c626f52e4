import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readUserFile } from '../../src/cli/shared/user-file.ts';
import { builtCli } from '../support/built-cli.ts';
import { runLatchkey } from '../support/run-latchkey.ts';

let folder = '';
let place: readonly string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-cli-'));
  writeFileSync(join(folder, 'password'), 'correct horse\n');
  place = ['--path', join(folder, 'store'), '--password-file', join(folder, 'password')];
  expect((await runLatchkey(['store', 'create', ...place])).code).toBe(0);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const store = (args: readonly string[], input = '') => runLatchkey(['store', ...args, ...place], input);

const lines = (count: number, bytes: number): string =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ name: `n${index}`, value: Buffer.alloc(bytes, index).toString('base64') }),
  ).join('\n');

/** Begins a backup, and stops it by a signal once its file is growing. */
async function interrupted(to: string, signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [builtCli, 'store', 'backup', '--to', to, ...place], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  const isWriting = () => unfinished().some((name) => statSync(join(folder, name)).size > 0);
  while (child.exitCode === null && !isWriting()) await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill(signal);
  await ended;
  return child.signalCode;
}

const unfinished = (): string[] => readdirSync(folder).filter((name) => name.includes('unfinished'));

describe('latchkey store backup', () => {
  it('removes its unfinished file when it is interrupted; the next run removes the file of a killed run', async () => {
    await store(['import'], lines(200, 100_000));
    const to = join(folder, 'backup');
    expect(await interrupted(to, 'SIGTERM')).toBe('SIGTERM');
    expect(unfinished()).toEqual([]);
    expect(await interrupted(to, 'SIGKILL')).toBe('SIGKILL');
    expect(unfinished().length).toBe(1);
    // Another program's file, and one that a running process (this one) is making.
    writeFileSync(`${to}.unfinished-x`, 'x');
    writeFileSync(`${to}.unfinished-${process.pid}`, 'x');
    const refused = await store(['backup', '--to', to]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('STORE_FILE_UNWRITABLE')]);
    rmSync(`${to}.unfinished-${process.pid}`);
    expect((await store(['backup', '--to', to])).code).toBe(0);
    expect(unfinished()).toEqual(['backup.unfinished-x']);
  });
});

describe('the output of latchkey store', () => {
  it('a slow reader of many acknowledgements causes no warning', async () => {
    const child = spawn(process.execPath, [builtCli, 'store', 'import', ...place], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let printed = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      printed += part;
    });
    child.stdin.end(lines(20_000, 30));
    // The acknowledgements of one namespace fill the pipe, and are taken only then.
    await once(child.stdout, 'readable');
    await new Promise((resolve) => setTimeout(resolve, 300));
    let acknowledged = '';
    for await (const part of child.stdout.setEncoding('utf8')) acknowledged += String(part);
    expect(acknowledged.trimEnd().split('\n').length).toBe(20_000);
    expect(printed).toBe('');
  });

  it('output to a full disk is an error with a code, and not the answer no', async () => {
    await store(['put', 'a'], 'one');
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [builtCli, 'store', 'export', ...place], {
      stdio: ['ignore', full, 'pipe'],
    });
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      printed += part;
    });
    await once(child, 'close');
    closeSync(full);
    expect([child.exitCode, printed]).toEqual([2, 'latchkey: STORE_FILE_UNWRITABLE: the output: ENOSPC\n']);
  });
});

describe('misuse of latchkey store', () => {
  it('exits with 2, unlike the answer no', async () => {
    const missing = await runLatchkey(['store', 'get', 'a']);
    const unknown = await runLatchkey(['store', 'fetch', 'a']);
    expect([missing.code, unknown.code]).toEqual([2, 2]);
    expect((await runLatchkey(['store', '--help'])).code).toBe(0);
    expect((await store(['get', 'a'])).code).toBe(1);
  });

  it('reads only the beginning of a file that is far too long', async () => {
    const long = join(folder, 'long');
    // Not an endless one, which would fill the memory of the machine if this were to fail.
    writeFileSync(long, '');
    truncateSync(long, 64 * 1024 * 1024);
    expect((await readUserFile(long, 'password-file', 1000)).length).toBeLessThan(1024 * 1024);
    const value = await store(['put', 'a', '--value-file', long]);
    expect([value.code, value.stderr]).toEqual([1, expect.stringContaining('STORE_VALUE_TOO_LARGE')]);
  });

  it('get --out overwrites no file, and leaves no unfinished file', async () => {
    await store(['put', 'a'], 'one');
    const out = join(folder, 'out');
    expect((await store(['get', 'a', '--out', out])).code).toBe(0);
    expect((await store(['get', 'a', '--out', out])).code).toBe(2);
    expect((await store(['get', 'a', '--out', join(folder, 'none', 'out')])).code).toBe(2);
    expect(unfinished()).toEqual([]);
  });
});
