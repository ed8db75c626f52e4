import { beforeEach, describe, expect, it } from 'vitest';
import type { ChainLogEvent } from '../../../src/chain/chain-log-event.ts';
import { ConnectionLog } from '../../../src/chain/connection-log.ts';
import type { Clock } from '../../../src/time/clock.ts';

const MINUTE_MS = 60_000;
const endpoint = 'ws://192.0.2.1:9944';

let nowMs: number;
let timers: { readonly atMs: number; readonly onTime: () => void }[];
let lines: ChainLogEvent[];
let log: ConnectionLog;

/** Time as the test sets it. */
const clock: Clock = {
  nowMs: () => nowMs,
  sleep: () => Promise.reject(new Error('nothing sleeps here')),
  schedule: (milliseconds, onTime) => {
    const timer = { atMs: nowMs + milliseconds, onTime };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  },
};

function pass(milliseconds: number): void {
  nowMs += milliseconds;
  for (const timer of timers.filter(({ atMs }) => atMs <= nowMs)) {
    timers = timers.filter((other) => other !== timer);
    timer.onTime();
  }
}

beforeEach(() => {
  nowMs = 1_000_000;
  timers = [];
  lines = [];
  log = new ConnectionLog((event) => lines.push(event), clock);
});

const connect = (): void => log.connected({ event: 'chain.connected', endpoint });
const drop = (): void => log.failed({ event: 'chain.disconnected', endpoint, message: 'closed (1006)' });
const refuse = (code: string): void => log.failed({ event: 'chain.connect-failed', endpoint, code });
/** Lines since the last call, as `event` or `event count`. */
const told = (): readonly string[] =>
  lines.splice(0).map(({ count, event }) => (count === undefined ? event : `${event} ${count}`));

/** Connections that are dropped after a quarter of a second, for so long. */
function flap(milliseconds: number): void {
  for (const endMs = nowMs + milliseconds; nowMs < endMs; ) {
    connect();
    pass(250);
    drop();
    pass(250);
  }
}

describe('lines about connections', () => {
  it('of an endpoint that accepts and drops are two, then one a minute with the count', () => {
    flap(MINUTE_MS);
    expect(told()).toEqual(['chain.connected', 'chain.disconnected']);
    flap(10 * MINUTE_MS);
    expect(told()).toHaveLength(10);
    expect(lines).toEqual([]);
  });

  it('say how many failures there were in a row', () => {
    flap(MINUTE_MS + 1000);
    expect(told().at(-1)).toBe('chain.disconnected 121');
  });

  it('come at once for each other kind of failure', () => {
    flap(2000);
    told();
    refuse('CHAIN_UNAVAILABLE');
    refuse('CHAIN_UNAVAILABLE');
    refuse('CHAIN_GENESIS_MISMATCH');
    expect(told()).toEqual(['chain.connect-failed 5', 'chain.connect-failed 7']);
  });

  it('say that the connection is back once it has lasted a minute, and begin anew after that', () => {
    flap(2000);
    told();
    connect();
    pass(MINUTE_MS - 1);
    expect(told()).toEqual([]);
    pass(1);
    expect(told()).toEqual(['chain.connected 4']);
    drop();
    refuse('CHAIN_UNAVAILABLE');
    connect();
    expect(told()).toEqual(['chain.disconnected', 'chain.connect-failed 2', 'chain.connected']);
    pass(MINUTE_MS);
    expect(told()).toEqual([]);
  });

  it('are not silenced by a clock that was set back, and leave no timer behind', () => {
    flap(1000);
    told();
    nowMs -= 30 * MINUTE_MS;
    flap(2 * MINUTE_MS);
    expect(told().length).toBeGreaterThan(0);
    connect();
    log.stop();
    expect(timers).toEqual([]);
  });
});
