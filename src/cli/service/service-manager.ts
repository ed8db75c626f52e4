import { escapeControls } from '../../bytes/escape-controls.ts';
import type { Log } from '../../observe/log.ts';
import type { Clock } from '../../time/clock.ts';
import type { Notify } from './systemd-notify.ts';

/** How often the status line is compared with what was sent, in milliseconds. */
const STATUS_EVERY_MS = 5_000;
const MAX_STATUS_LENGTH = 300;

/** How long the end of the process waits for a manager that does not read, in milliseconds. */
const LAST_WORDS_MS = 5_000;

/** What a service manager is told, and how. */
export interface ServiceManagerParts {
  /** `undefined` where no service manager listens: then nothing is sent. */
  readonly notify: Notify | undefined;
  readonly watchdogMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** One line for a person. */
  readonly status: () => string;
  /** How long the main loop has been stuck, in milliseconds; more than 0 where a restart is better. */
  readonly overdueMs: () => number;
}

/**
 * Tells systemd, or another manager with its protocol, how this service is: ready, reloading, stopping, alive, and a
 * status line. Messages go out one after another; a failure is logged once and changes nothing.
 */
export class ServiceManager {
  readonly #parts: ServiceManagerParts;
  readonly #stopping = new AbortController();
  #sending: Promise<void> = Promise.resolve();
  #waiting = 0;
  #shownStatus = '';
  #hasFailed = false;
  #isWithheld = false;

  constructor(parts: ServiceManagerParts) {
    this.#parts = parts;
  }

  /** The listeners answer. From now on the status line is kept up to date, and the watchdog fed. */
  async ready(): Promise<void> {
    if (this.#parts.notify === undefined) return;
    const { watchdogMs } = this.#parts;
    await this.#send(['READY=1', this.#statusLine()]);
    void this.#repeat(STATUS_EVERY_MS, () => this.#refresh(), this.#stopping.signal);
    if (watchdogMs !== undefined) void this.#repeat(watchdogMs / 2, () => this.#feed());
  }

  /** The configuration is read again; {@link reloaded} has to follow. */
  reloading(): Promise<void> {
    // The clock of hrtime is CLOCK_MONOTONIC, which the protocol asks for.
    const monotonicUsec = process.hrtime.bigint() / 1000n;
    return this.#send(['RELOADING=1', `MONOTONIC_USEC=${monotonicUsec}`]);
  }

  reloaded(): Promise<void> {
    return this.#send(['READY=1', this.#statusLine()]);
  }

  /** The orderly end begins; the watchdog is fed until the process is gone. */
  stopping(): Promise<void> {
    this.#stopping.abort();
    return this.#send(['STOPPING=1', 'STATUS=stopping']);
  }

  /** Settles when the manager has read everything, or after five seconds: the end of the process would take the rest with it. */
  async told(): Promise<void> {
    await Promise.race([this.#sending, this.#parts.clock.sleep(LAST_WORDS_MS)]);
  }

  async #repeat(everyMs: number, work: () => Promise<void>, until?: AbortSignal): Promise<void> {
    while (!until?.aborted) {
      await this.#parts.clock.sleep(everyMs, until);
      // A manager that does not read must not make messages pile up.
      if (!until?.aborted && this.#waiting === 0) await work();
    }
  }

  async #refresh(): Promise<void> {
    if (this.#statusLine() !== this.#shownStatus) await this.#send([this.#statusLine()]);
  }

  async #feed(): Promise<void> {
    const overdueMs = this.#parts.overdueMs();
    if (overdueMs === 0) return this.#send(['WATCHDOG=1']);
    if (!this.#isWithheld) this.#parts.log('error', 'service.watchdog-withheld', { overdueMs });
    this.#isWithheld = true;
  }

  /** A line of its own: a reason that an endpoint gave could otherwise add assignments of its own. */
  #statusLine(): string {
    return `STATUS=${escapeControls(this.#parts.status()).slice(0, MAX_STATUS_LENGTH)}`;
  }

  #send(assignments: readonly string[]): Promise<void> {
    const { notify, log } = this.#parts;
    if (notify === undefined) return Promise.resolve();
    this.#waiting++;
    this.#sending = this.#sending
      .then(() => notify(assignments))
      .then(() => {
        this.#shownStatus = assignments.find((text) => text.startsWith('STATUS=')) ?? this.#shownStatus;
      })
      .catch((error: unknown) => {
        if (!this.#hasFailed) log('warn', 'service.not-told', { error: String(error) });
        this.#hasFailed = true;
      })
      .finally(() => {
        this.#waiting--;
      });
    return this.#sending;
  }
}
