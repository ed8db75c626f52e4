import { spawn } from 'node:child_process';
import { type ClientOutput, type RunClient, SCENARIO_VARIABLE } from './contract.ts';

/** Most characters that are kept of each of the two outputs. */
const MAX_OUTPUT = 1024 * 1024;

/**
 * Runs a command of the shell as a client: the scenario in a variable, one line of JSON a step on its output.
 * @param limitMs after that it is ended, with all that it has started.
 */
export const runCommand =
  (command: string, limitMs: number): RunClient =>
  (scenario) =>
    new Promise<ClientOutput>((resolve, reject) => {
      const child = spawn(command, {
        shell: true,
        // A process group of its own, so that it can be ended as a whole.
        detached: true,
        env: { ...process.env, [SCENARIO_VARIABLE]: JSON.stringify(scenario) },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const printed = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8').on('data', (part: string) => {
          if (printed[name].length < MAX_OUTPUT) printed[name] += part;
        });
      }
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        endGroup(child.pid);
      }, limitMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ exitCode: code ?? undefined, ...printed, isLate });
      });
    });

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself just now.
  }
}
