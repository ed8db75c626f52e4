import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** A node that gets a termination signal finishes its requests first; on a busy machine this takes a while. */
const END_AFTER_MS = 60_000;

/** A process that this program started; only ever ended by its own handle. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** Starts `node FLAGS SCRIPT ARGS`; its output is appended to a log file. */
  constructor(script: string, args: readonly string[], logFile: string, flags: readonly string[] = []) {
    const log = openSync(logFile, 'a');
    // What the caller's shell says about Latchkey is not about the nodes of this network.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('LATCHKEY_')),
    );
    this.#process = spawn(process.execPath, [...flags, script, ...args], {
      stdio: ['ignore', log, log],
      env,
    });
    closeSync(log);
    this.#exited = once(this.#process, 'exit');
    this.#exited.catch(() => undefined);
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends the process and waits until it is gone. */
  async end(name: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return;
    this.#process.kill('SIGCONT');
    this.#process.kill(name);
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_AFTER_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}
