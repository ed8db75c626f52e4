import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import { MAC_FRESHNESS_MS } from '../../protocol/mac.ts';
import { type Clock, monotonicMsOf } from '../../time/clock.ts';

/** Most servers of which the clock is remembered. */
const MAX_SERVERS = 1_024;
/** A clock that is further off than this, in milliseconds, is not followed: a human has to set one of the two. */
const MAX_OFFSET_MS = 15 * 60_000;

interface ServerTime {
  readonly timeMs: number;
  /** By the own monotonic clock: the other one may be set, or raised. */
  readonly notedAtMs: number;
  /** Whether the server refused its own time since. */
  isRefused: boolean;
}

/**
 * The clocks of servers, from their sealed and authenticated answers. A request that is stamped by the clock of its server
 * passes also where the own clock is off by more than a request may be. A server that tells a wrong time gains nothing: a
 * request names its server.
 */
export class ServerClocks {
  readonly #clock: Clock;
  readonly #times = new Memo<ServerTime>(MAX_SERVERS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The time for a request to a server, in milliseconds: its own, where that is known and differs much. */
  nowMs(server: AccountId): number {
    const ownMs = this.#clock.nowMs();
    const known = this.#times.find(toHex(server));
    if (known === undefined || known.isRefused) return ownMs;
    const serverMs = Math.round(known.timeMs + this.#monotonicMs() - known.notedAtMs);
    const offMs = Math.abs(serverMs - ownMs);
    return offMs > MAC_FRESHNESS_MS / 2 && offMs <= MAX_OFFSET_MS ? serverMs : ownMs;
  }

  /** A server proved that it said this time just now. */
  note(server: AccountId, timeMs: number): void {
    this.#times.set(toHex(server), { timeMs, notedAtMs: this.#monotonicMs(), isRefused: false });
  }

  /** A server refused the time of a request: one of the clocks was set since. The next request has the other time. */
  refused(server: AccountId): void {
    const known = this.#times.find(toHex(server));
    if (known !== undefined) known.isRefused = !known.isRefused;
  }

  #monotonicMs(): number {
    return monotonicMsOf(this.#clock);
  }
}
