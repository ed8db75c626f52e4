import { describe, expect, it } from 'vitest';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import type { DecryptionTable, WriteListener } from '../../../src/decryptions/decryption-table.ts';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { noMetrics } from '../../../src/decryptions/metrics.ts';
import { describeOnEngines } from '../../support/decryption-engines.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { settled } from '../../support/virtual-scheduler.ts';

const KEY = 'ab'.repeat(32);
const of = (value: number) => ({ value: BigInt(value), signature: Uint8Array.of(value) });

describeOnEngines('outcomes of writes', (open) => {
  it('the same signature of an oracle again changes nothing; another one is a conflict without overwriting', async () => {
    const service = await open({ overwrite: false });
    expect(await service.putSignature(KEY, 'a', of(1))).toBe('written');
    expect(await service.putSignature(KEY, 'a', of(1))).toBe('unchanged');
    await expect(service.putSignature(KEY, 'a', of(2))).rejects.toMatchObject({
      code: 'DECRYPTION_CONFLICT',
    });
  });

  it('removals are counted, and only those', async () => {
    const removed: number[] = [];
    const service = await open({ metrics: { ...noMetrics, removed: (count) => removed.push(count) } });
    await service.put(KEY, of(1));
    expect([await service.delete(KEY), await service.delete(KEY)]).toEqual([true, false]);
    expect(removed).toEqual([1]);
  });

  it('a write for which nobody waits tells no number of waiters', async () => {
    const told: number[] = [];
    const service = await open({ metrics: { ...noMetrics, waiting: (count) => told.push(count) } });
    await service.put(KEY, of(1));
    expect(told).toEqual([]);
  });

  it('pruning without a rule removes nothing', async () => {
    const service = await open();
    await service.put(KEY, of(1));
    expect(await service.prune({})).toBe(0);
    expect(await service.size()).toBe(1);
  });
});

it('signatures in the store of this process need no place of a waiter', async () => {
  const service = await DecryptionService.open(new MemoryStore(), { maxWaiters: 0 });
  await service.putSignature(KEY, 'a', of(1));
  expect(await service.signatures(KEY)).toHaveLength(1);
});

it('after closing, keys are not read again', async () => {
  let listener: WriteListener | undefined;
  let reads = 0;
  const ends: (() => void)[] = [];
  const table: Partial<DecryptionTable> = {
    hasNow: () => false,
    listen: (given) => {
      listener = given;
      return () => undefined;
    },
    read: () => {
      reads += 1;
      return new Promise((resolve) => ends.push(() => resolve({ result: undefined, revision: 0 })));
    },
  };
  // Nothing else of a table is used here.
  const service = DecryptionService.on(table as DecryptionTable, { maxExpectedOracleDelayMs: 600_000 });
  const keys = Array.from({ length: 300 }, (_, index) => index.toString(16).padStart(64, '0'));
  const waiting = Promise.allSettled(keys.map((key) => service.get(key)));
  listener?.missed();
  expect(reads).toBe(256);
  service.close();
  for (const end of ends) end();
  await waiting;
  await settled();
  expect(reads).toBe(256);
});

describe('the environment that another runtime passes with a request', () => {
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'outgoing'],
    ['no response', {}],
    ['null as the response', { outgoing: null }],
    ['another response', { outgoing: { writableFinished: false, req: {} } }],
  ])('%s', async (_what, environment) => {
    const service = await DecryptionService.open(new MemoryStore(), { maxExpectedOracleDelayMs: 2 });
    const app = decryptionsApp(service);
    const request = (init: RequestInit) => app.request(`/decryption/${KEY}`, init, environment as never);
    expect((await request({})).status).toBe(404);
    expect((await request({ method: 'PUT', body: '[1,"AQ"]' })).status).toBe(200);
    expect(await (await request({})).json()).toEqual({ value: 1, signature: 'AQ==' });
  });
});
