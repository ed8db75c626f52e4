import { spawn } from 'node:child_process';
import { builtCli } from './built-cli.ts';

/** What a finished command left behind. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built `latchkey` as a process of its own, without colours, and waits for its end. */
export function runLatchkey(args: readonly string[], input: string | Uint8Array = ''): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [builtCli, ...args], {
      env: { PATH: process.env['PATH'] ?? '', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const printed = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (part: string) => {
        printed[name] += part;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...printed }));
    // A command that ends without reading everything closes the pipe; that is its good right.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
