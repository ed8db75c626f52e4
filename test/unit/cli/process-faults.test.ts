import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Ended {
  readonly code: number | null;
  readonly faults: readonly string[];
}

const moduleUrl = (path: string): string => new URL(`../../../src/${path}`, import.meta.url).href;

/** Runs a program that watches its process, and reports every fault over IPC. */
async function run(program: string, stdout: number | 'ignore' | 'gone'): Promise<Ended> {
  const source = `
    import { watchProcess } from '${moduleUrl('cli/shared/process-faults.ts')}';
    import { jsonLog } from '${moduleUrl('observe/log.ts')}';
    const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 1));
    const faults = [];
    const broken = watchProcess((fault) => faults.push(fault));
    const leave = (code) => process.send(faults, () => process.exit(code));
    ${program}`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', source];
  const piped = stdout === 'gone' ? 'pipe' : stdout;
  const child = spawn(process.execPath, args, { stdio: ['ignore', piped, 'ignore', 'ipc'] });
  child.stdout?.destroy();
  const faults: string[] = [];
  child.on('message', (message) => faults.push(...(message as string[])));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, faults };
}

const untilTwoFaults = `
  const log = jsonLog('info');
  while (faults.length < 2) { log('info', 'test.line'); await nextTurn(); }
  leave(7);`;

describe('a long-running process', () => {
  it('continues after an unhandled rejection', async () => {
    const program = `
      Promise.reject(new Error('nobody'));
      Promise.reject(Object.create(null));
      while (faults.length < 2) await nextTurn();
      leave(7);`;
    expect(await run(program, 'ignore')).toEqual({ code: 7, faults: ['rejection', 'rejection'] });
  });

  it('shuts down cleanly after an exception in a listener', async () => {
    const program = `
      setTimeout(() => { throw new Error('out of a timer'); }, 1);
      setTimeout(() => undefined, 60_000);
      await broken;
      leave(7);`;
    expect(await run(program, 'ignore')).toEqual({ code: 7, faults: ['exception'] });
  });

  it('continues when the reader of its log is gone', async () => {
    expect(await run(untilTwoFaults, 'gone')).toEqual({ code: 7, faults: ['output', 'output'] });
  });

  it('continues when the disk of its log is full', async () => {
    const full = openSync('/dev/full', 'w');
    const ended = await run(untilTwoFaults, full).finally(() => closeSync(full));
    expect(ended).toEqual({ code: 7, faults: ['output', 'output'] });
  });
});
