import type { Clock } from '../time/clock.ts';
import { startTimer, type Timer } from '../time/timer.ts';
import type { ChainLogEvent } from './chain-log-event.ts';

/** A connection that lasts this long ends a series of failures; within a series there is one line in this time. */
const CALM_AFTER_MS = 60_000;

/**
 * Lines about the connections to one endpoint. An endpoint that accepts connections and drops them must not fill the
 * log: of a series of failures the first of each kind is logged, then one line a minute with the count. A series ends
 * when a connection has lasted a minute.
 */
export class ConnectionLog {
  readonly #log: (event: ChainLogEvent) => void;
  readonly #clock: Clock;
  /** Kinds of lines that were logged in this series. */
  readonly #told = new Set<string>();
  #failures = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #lasting: Timer | undefined;

  constructor(log: (event: ChainLogEvent) => void, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** A connection was made. In a series of failures only the first is logged at once, others when they have lasted. */
  connected(event: ChainLogEvent): void {
    const isFirst = !this.#told.has(event.event);
    if (isFirst) this.#tell(event, event.event);
    this.#lasting = startTimer(this.#clock, CALM_AFTER_MS, () => {
      const failures = this.#failures;
      this.#told.clear();
      this.#failures = 0;
      if (!isFirst) this.#log({ ...event, count: failures });
    });
  }

  /** A connection ended, or could not be made. */
  failed(event: ChainLogEvent): void {
    this.#lasting?.stop();
    this.#failures += 1;
    const kind = `${event.event} ${event.code}`;
    const nowMs = this.#clock.nowMs();
    // A clock that was set back must not silence the log.
    this.#toldAtMs = Math.min(this.#toldAtMs, nowMs);
    if (this.#told.has(kind) && nowMs - this.#toldAtMs < CALM_AFTER_MS) return;
    this.#tell(this.#failures === 1 ? event : { ...event, count: this.#failures }, kind);
  }

  #tell(event: ChainLogEvent, kind: string): void {
    this.#told.add(kind);
    this.#toldAtMs = this.#clock.nowMs();
    this.#log(event);
  }

  /** Ends its timer. */
  stop(): void {
    this.#lasting?.stop();
  }
}
