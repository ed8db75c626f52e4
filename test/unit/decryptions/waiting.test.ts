import { beforeEach, describe, expect, it } from 'vitest';
import type { Decryption } from '../../../src/decryptions/decryption.ts';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../../src/decryptions/decryption-service.ts';
import { type DecryptionMetrics, noMetrics } from '../../../src/decryptions/metrics.ts';
import { describeOnEngines } from '../../support/decryption-engines.ts';
import { MemoryStore, type MemoryStoreHooks } from '../../support/memory-store.ts';
import { settled, VirtualScheduler } from '../../support/virtual-scheduler.ts';

const keyOf = (number: number): string => number.toString(16).padStart(64, '0');
const KEY = keyOf(1);
const of = (value: number): Decryption => ({ value: BigInt(value), signature: Uint8Array.of(value & 255) });

interface World {
  readonly service: DecryptionService;
  readonly clock: VirtualScheduler;
}

async function world(options: DecryptionServiceOptions = {}, hooks: MemoryStoreHooks = {}): Promise<World> {
  const clock = new VirtualScheduler();
  const service = await DecryptionService.open(new MemoryStore(hooks), {
    maxExpectedOracleDelayMs: 7000,
    scheduler: clock,
    ...options,
  });
  return { service, clock };
}

describeOnEngines('waiting for a decryption', (open) => {
  let service: DecryptionService;
  let clock: VirtualScheduler;
  beforeEach(async () => {
    clock = new VirtualScheduler();
    service = await open({ maxExpectedOracleDelayMs: 7000, scheduler: clock });
  });

  it('D13 a waiting get is answered by a later put', async () => {
    const waiting = service.get(KEY);
    await clock.advance(6999);
    expect(service.waiting).toBe(1);
    await service.put(KEY, of(5));
    expect(await waiting).toEqual(of(5));
    expect([service.waiting, service.keysInMemory, clock.pending]).toEqual([0, 0, 0]);
  });

  it('D14 one put wakes 1,000 waiters on one key, and no other waiter', async () => {
    const waiting = Array.from({ length: 1000 }, () => service.get(KEY));
    const other = service.get(keyOf(2));
    await service.put(KEY, of(9));
    for (const found of await Promise.all(waiting)) expect(found).toEqual(of(9));
    expect(service.waiting).toBe(1);
    await clock.advance(7000);
    expect(await other).toBeUndefined();
    expect([service.waiting, service.keysInMemory, clock.pending]).toEqual([0, 0, 0]);
  });

  it('D15 timeout, then put, then get', async () => {
    const waiting = service.get(KEY);
    await clock.advance(7000);
    expect(await waiting).toBeUndefined();
    await service.put(KEY, of(3));
    expect(await service.get(KEY)).toEqual(of(3));
  });

  it('D16 puts race while a request waits: it gets a committed value, and the last value is kept', async () => {
    const waiting = service.get(KEY);
    await Promise.all([service.put(KEY, of(1)), service.put(KEY, of(2)), service.put(KEY, of(3))]);
    expect(await waiting).toEqual(of(1));
    expect(await service.get(KEY)).toEqual(of(3));
  });
});

describe('waiting on a store that is slow, or fails', () => {
  it('D16 writes of one key keep their order, also with a slow store', async () => {
    let turn = 0;
    const delays = [50, 1, 30, 2];
    const slowClock = new VirtualScheduler();
    const { service: slow } = await world(
      { scheduler: slowClock },
      {
        beforeWrite: (operations) =>
          operations.length > 0 ? slowClock.sleep(delays[turn++ % 4] ?? 1) : undefined,
      },
    );
    const puts = [1, 2, 3, 4].map((value) => slow.put(KEY, of(value)));
    const waiting = slow.get(KEY);
    await slowClock.advance(200);
    await Promise.all(puts);
    expect(await waiting).toEqual(of(1));
    expect(await slow.get(KEY)).toEqual(of(4));
  });

  it('D13 a waiter gets no value of a failed write', async () => {
    let failing = true;
    const failingWorld = await world(
      {},
      {
        beforeWrite: (operations) => {
          if (failing && operations.length > 0) throw new Error('disk full');
        },
      },
    );
    const waiting = failingWorld.service.get(KEY);
    await expect(failingWorld.service.put(KEY, of(1))).rejects.toThrow('disk full');
    expect(failingWorld.service.waiting).toBe(1);
    failing = false;
    await failingWorld.service.put(KEY, of(2));
    expect(await waiting).toEqual(of(2));
  });

  it('D13 a waiter gets a value only after it is durable', async () => {
    const slowClock = new VirtualScheduler();
    const { service: slow } = await world(
      { scheduler: slowClock },
      { beforeWrite: (operations) => (operations.length > 0 ? slowClock.sleep(10) : undefined) },
    );
    let heard = false;
    const waiting = slow.get(KEY).then(() => {
      heard = true;
    });
    const put = slow.put(KEY, of(1));
    await slowClock.advance(9);
    expect(heard).toBe(false);
    await slowClock.advance(1);
    await Promise.all([put, waiting]);
    expect(heard).toBe(true);
  });

  it('D13 a key that is removed between lookup and read is waited for like an absent key', async () => {
    let remove = async (): Promise<void> => undefined;
    const racing = await world({}, { beforeRead: () => remove() });
    await racing.service.put(KEY, of(1));
    remove = async () => {
      remove = async () => undefined;
      await racing.service.delete(KEY);
    };
    const waiting = racing.service.get(KEY);
    await settled();
    expect(racing.service.waiting).toBe(1);
    await racing.service.put(KEY, of(2));
    expect(await waiting).toEqual(of(2));
  });
});

describeOnEngines('bounds', (open) => {
  async function world(options: DecryptionServiceOptions = {}): Promise<World> {
    const clock = new VirtualScheduler();
    const service = await open({ maxExpectedOracleDelayMs: 7000, scheduler: clock, ...options });
    return { service, clock };
  }

  it('D18 a flood of random keys leaves nothing in memory', async () => {
    const { service, clock } = await world({ maxWaiters: 500 });
    for (let round = 0; round < 20; round += 1) {
      const waiting = Array.from({ length: 500 }, (_, index) => service.get(keyOf(round * 500 + index)));
      expect([service.waiting, service.keysInMemory]).toEqual([500, 500]);
      await expect(service.get(KEY)).rejects.toMatchObject({ code: 'DECRYPTION_WAITERS_FULL', status: 503 });
      await service.put(keyOf(round * 500), of(round));
      await clock.advance(7000);
      const found = await Promise.all(waiting);
      expect(found.filter((decryption) => decryption !== undefined)).toHaveLength(1);
      expect([service.waiting, service.keysInMemory, clock.pending]).toEqual([0, 0, 0]);
    }
  });

  it('D18 the waiting time is in milliseconds, and a lookup may only shorten it', async () => {
    const { service, clock } = await world({ maxExpectedOracleDelayMs: 7 });
    const outcomes: string[] = [];
    const look = (name: string, waitMs?: number) =>
      service
        .get(KEY, waitMs === undefined ? {} : { waitMs })
        .then(() => outcomes.push(`${name}@${clock.nowMs() % 1000}`));
    const all = [look('none', 0), look('short', 3), look('long', 60_000), look('default')];
    // An engine that is asked over a network answers in real time.
    await all[0];
    await clock.advance(3);
    await all[1];
    await clock.advance(3);
    expect(outcomes).toEqual(['none@0', 'short@3']);
    expect(service.waiting).toBe(2);
    await clock.advance(1);
    await Promise.all(all);
    expect(outcomes.slice(2).sort()).toEqual(['default@7', 'long@7']);
  });

  it('D19 a client that disconnects releases its waiter and its timer', async () => {
    const { service, clock } = await world();
    const leaver = new AbortController();
    const leaving = service.get(KEY, { signal: leaver.signal });
    const staying = service.get(KEY);
    leaver.abort();
    expect(await leaving).toBeUndefined();
    expect([service.waiting, clock.pending]).toEqual([1, 1]);
    expect(await service.get(KEY, { signal: leaver.signal })).toBeUndefined();
    await service.put(KEY, of(1));
    expect(await staying).toEqual(of(1));
    expect([service.waiting, service.keysInMemory, clock.pending]).toEqual([0, 0, 0]);
  });

  it('closing ends all waits and refuses further requests', async () => {
    const { service, clock } = await world();
    const waiting = service.get(KEY);
    service.close();
    await expect(waiting).rejects.toMatchObject({ code: 'DECRYPTION_SERVICE_CLOSED', status: 503 });
    await expect(service.get(KEY)).rejects.toMatchObject({ code: 'DECRYPTION_SERVICE_CLOSED' });
    await expect(service.put(KEY, of(1))).rejects.toMatchObject({ code: 'DECRYPTION_SERVICE_CLOSED' });
    expect([service.waiting, clock.pending]).toEqual([0, 0]);
  });

  it('metrics count each lookup and write once', async () => {
    const seen: string[] = [];
    const metrics: DecryptionMetrics = {
      ...noMetrics,
      lookup: (outcome, waitedMs) => seen.push(`${outcome} ${waitedMs}`),
      write: (outcome) => seen.push(outcome),
    };
    const { service, clock } = await world({ metrics });
    const first = service.get(KEY);
    await clock.advance(7000);
    await first;
    const second = service.get(KEY);
    await clock.advance(5);
    await service.put(KEY, of(1));
    await second;
    await service.put(KEY, of(1));
    await service.get(KEY);
    // Over a network the first read of the waiter may meet the put.
    const woken = seen.map((each) => (each === 'hit 5' ? 'woken 5' : each));
    expect(woken.sort()).toEqual(['hit 0', 'missing 7000', 'unchanged', 'woken 5', 'written']);
  });
});
