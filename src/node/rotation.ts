import type { RotationDesk } from '../agent/rotation-routes.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { Log } from '../observe/log.ts';

/** Changes the store key on command, one change at a time, and remembers how the last one went. */
export class Rotation implements RotationDesk {
  readonly #rotate: () => Promise<number>;
  readonly #log: Log;
  #standing: ReturnType<RotationDesk['standing']> = { state: 'never' };

  /** @param rotate changes the key and returns the generation of the new slots. */
  constructor(rotate: () => Promise<number>, log: Log) {
    this.#rotate = rotate;
    this.#log = log;
  }

  start(): void {
    if (this.#standing.state === 'running') return;
    this.#standing = { state: 'running' };
    this.#log('info', 'rotation.started');
    void this.#run();
  }

  standing(): ReturnType<RotationDesk['standing']> {
    return this.#standing;
  }

  async #run(): Promise<void> {
    try {
      this.#standing = { state: 'done', generation: await this.#rotate() };
    } catch (error) {
      const code = error instanceof LatchkeyError ? error.code : 'INTERNAL';
      const detail = error instanceof Error ? error.message : String(error);
      this.#standing = { state: 'failed', code, detail };
      this.#log('error', 'rotation.failed', { code, detail });
    }
  }
}
