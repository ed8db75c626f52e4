import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How long an empty Node process takes on a quiet machine, in milliseconds. */
const QUIET_START_MS = 60;
const PROBES = 3;
const MAX_SLOWNESS = 20;

/**
 * How many times slower than a quiet machine this one is now, from 1 to 20: by the slowest of a few starts of an empty
 * process. Time limits of the development network are multiples of it.
 */
export async function measureSlowness(): Promise<number> {
  let slowestMs = 0;
  for (let probe = 0; probe < PROBES; probe++) {
    const startMs = performance.now();
    await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
  return Math.min(MAX_SLOWNESS, Math.max(1, slowestMs / QUIET_START_MS));
}

/**
 * How long to wait for a state before the demonstration gives up, in milliseconds. It ends a wait that would never end,
 * and no honest run comes near it, however busy the machine.
 */
export const GIVE_UP_AFTER_MS = 20 * 60_000;
