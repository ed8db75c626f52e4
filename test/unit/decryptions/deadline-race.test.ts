import { describe, expect, it } from 'vitest';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import { type LookupOutcome, noMetrics } from '../../../src/decryptions/metrics.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { SimulatedCluster, SimulatedRemoteTable } from '../../support/simulated-remote-table.ts';
import { VirtualScheduler } from '../../support/virtual-scheduler.ts';

const RUNS = 10_000;
const WAIT_MS = 5;
const KEY = 'cd'.repeat(32);

/** A small generator with a printed seed (mulberry32). */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await undefined;
}

interface Race {
  readonly outcome: LookupOutcome;
  /** What went wrong, if anything. */
  readonly wrong: string | undefined;
}

/** One put with random delays in every step, so that its commit falls around the deadline of one waiter. */
async function race(seed: number): Promise<Race> {
  const roll = dice(seed);
  const clock = new VirtualScheduler();
  // By whole milliseconds and by turns of the promise queue within one.
  let opened = false;
  const delay = async (): Promise<void> => {
    if (!opened) return;
    if (roll(3) === 0) await clock.sleep(roll(3));
    await turns(roll(8));
  };
  let outcome: LookupOutcome | undefined;
  let wrong: string | undefined;
  let acknowledged = false;
  const service = await DecryptionService.open(
    new MemoryStore({ beforeWrite: delay, afterWrite: delay, beforeRead: delay }),
    {
      maxExpectedOracleDelayMs: WAIT_MS,
      scheduler: clock,
      metrics: {
        ...noMetrics,
        lookup: (seen) => {
          outcome ??= seen;
          if (seen === 'missing' && service.hasNow(KEY)) wrong = 'gave up with the value stored';
        },
      },
    },
  );
  opened = true;
  const waiting = service.get(KEY).then((found) => {
    if (found === undefined && acknowledged) wrong = 'missing after the put was acknowledged';
    return found;
  });
  const putting = clock.sleep(WAIT_MS - roll(4)).then(async () => {
    await turns(roll(30));
    await service.put(KEY, { value: 7n, signature: new Uint8Array(1) });
    acknowledged = true;
  });
  await clock.advance(60);
  await Promise.all([waiting, putting]);
  if (service.keysInMemory !== 0 || service.waiting !== 0 || clock.pending !== 0)
    wrong = 'something was left behind';
  if ((await Promise.all([service.get(KEY), clock.advance(60)]))[0]?.value !== 7n)
    wrong = 'the value is gone';
  return { outcome: outcome ?? 'aborted', wrong };
}

describe('a put at the moment of the deadline', () => {
  it(`D17 ${RUNS} interleavings: a waiter never gets not-found when the value is stored`, async () => {
    const firstSeed = Number(process.env['LATCHKEY_SEED'] ?? 20_261_121);
    console.log(`D17 seeds ${firstSeed} to ${firstSeed + RUNS - 1}`);
    const seen = new Map<LookupOutcome, number>();
    for (let seed = firstSeed; seed < firstSeed + RUNS; seed += 1) {
      const { outcome, wrong } = await race(seed);
      if (wrong !== undefined) throw new Error(`seed ${seed}: ${wrong}`);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    // All three ends of the race were met many times, so the interleavings are around the deadline indeed.
    for (const outcome of ['woken', 'missing', 'found-at-deadline'] as const) {
      expect(seen.get(outcome) ?? 0).toBeGreaterThan(100);
    }
  }, 120_000);
});

const REMOTE_RUNS = 5000;

/**
 * A waiting GET at one instance, and at another one a put around its deadline, after a value that was put and deleted
 * before the GET, news of which may still be under way.
 */
async function remoteRace(seed: number): Promise<Race> {
  const roll = dice(seed);
  const clock = new VirtualScheduler();
  const delay = async (): Promise<void> => {
    if (roll(3) === 0) await clock.sleep(roll(3));
    await turns(roll(8));
  };
  const cluster = new SimulatedCluster();
  let outcome: LookupOutcome | undefined;
  let wrong: string | undefined;
  const options = { maxExpectedOracleDelayMs: WAIT_MS, scheduler: clock };
  const there = DecryptionService.on(new SimulatedRemoteTable(cluster, delay), options);
  const here = DecryptionService.on(new SimulatedRemoteTable(cluster, delay), {
    ...options,
    metrics: { ...noMetrics, lookup: (seen) => (outcome ??= seen) },
  });
  const former = { value: 1n, signature: new Uint8Array(1) };
  const deleting = there.put(KEY, former).then(() => there.delete(KEY));
  while (!(await Promise.race([deleting, clock.advance(1).then(() => false)])));
  const deadlineMs = clock.nowMs() + WAIT_MS;
  let acknowledgedMs = Number.POSITIVE_INFINITY;
  const waiting = here.get(KEY).then((found) => {
    if (found === undefined && acknowledgedMs < deadlineMs)
      wrong = 'missing, and acknowledged before the deadline';
    if (found?.value === 1n) wrong = 'a value that was deleted before';
  });
  const putting = clock.sleep(roll(WAIT_MS + 3)).then(async () => {
    await turns(roll(30));
    await there.put(KEY, { value: 7n, signature: new Uint8Array(1) });
    acknowledgedMs = clock.nowMs();
  });
  await clock.advance(80);
  await Promise.all([waiting, putting]);
  if (here.keysInMemory !== 0 || here.waiting !== 0 || clock.pending !== 0)
    wrong = 'something was left behind';
  return { outcome: outcome ?? 'aborted', wrong };
}

describe('a put at another instance at the moment of the deadline', () => {
  it(`D17 ${REMOTE_RUNS} interleavings: what was acknowledged before the deadline is found, what was deleted is not`, async () => {
    const firstSeed = Number(process.env['LATCHKEY_SEED'] ?? 20_261_201);
    console.log(`D17 seeds ${firstSeed} to ${firstSeed + REMOTE_RUNS - 1}`);
    const seen = new Map<LookupOutcome, number>();
    for (let seed = firstSeed; seed < firstSeed + REMOTE_RUNS; seed += 1) {
      const { outcome, wrong } = await remoteRace(seed);
      if (wrong !== undefined) throw new Error(`seed ${seed}: ${wrong}`);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    for (const outcome of ['hit', 'woken', 'missing', 'found-at-deadline'] as const) {
      expect(seen.get(outcome) ?? 0).toBeGreaterThan(50);
    }
  }, 120_000);
});
