import { ForksPoolWorker, type PoolOptions, type PoolRunnerInitializer } from 'vitest/node';

type PoolWorker = ReturnType<PoolRunnerInitializer['createPoolWorker']>;
type WorkerRequest = Parameters<PoolWorker['send']>[0];
type Listener = (message: unknown) => void;

/** One use of a process that is kept: its start and its stop do not reach a process that runs already. */
class KeptWorker implements PoolWorker {
  readonly name = 'kept';
  readonly cacheFs = true;
  readonly #process: ForksPoolWorker;
  readonly #isStarted: boolean;
  readonly #listeners: { readonly event: string; readonly callback: Listener }[] = [];

  constructor(process: ForksPoolWorker, isStarted: boolean) {
    this.#process = process;
    this.#isStarted = isStarted;
  }

  on(event: string, callback: Listener): void {
    this.#listeners.push({ event, callback });
    this.#process.on(event, callback);
  }

  off(event: string, callback: Listener): void {
    this.#process.off(event, callback);
  }

  send(message: WorkerRequest): void {
    if (message.type === 'stop') this.#answer('stopped');
    else if (message.type === 'start' && this.#isStarted) this.#answer('started');
    else this.#process.send(message);
  }

  #answer(type: string): void {
    for (const { event, callback } of this.#listeners) {
      if (event === 'message') callback({ type, __vitest_worker_response__: true });
    }
  }

  deserialize(data: unknown): unknown {
    return this.#process.deserialize(data);
  }

  async start(): Promise<void> {
    if (!this.#isStarted) await this.#process.start();
  }

  async stop(): Promise<void> {
    for (const { event, callback } of this.#listeners) this.#process.off(event, callback);
  }
}

/**
 * A pool of one test process that stays for the next test file and the next run. Vitest evaluates the modules of the
 * project again for each test file; libraries stay loaded.
 */
export class KeptPool implements PoolRunnerInitializer {
  readonly name = 'kept';
  #process: ForksPoolWorker | undefined;

  createPoolWorker(options: PoolOptions): PoolWorker {
    const isStarted = this.#process !== undefined;
    this.#process ??= new ForksPoolWorker(options);
    return new KeptWorker(this.#process, isStarted);
  }

  /** Ends the process; the next run starts another one. */
  async restart(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.stop();
  }
}
