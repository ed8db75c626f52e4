import { beforeEach, expect, it } from 'vitest';
import type { RotationDesk } from '../../../src/agent/rotation-routes.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { FleetRekey } from '../../../src/node/fleet-rekey.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { ManualClock } from '../../support/collateral-world.ts';
import { fixed, HOUR_MS, START_MS } from '../../support/fleet-world.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const wanted = { id: `0x${'11'.repeat(16)}`, reason: 'extracted' };
let clock: ManualClock;
let store: MemoryStore;
let key: SecretBytes;
let started: number;
let standing: ReturnType<RotationDesk['standing']>['state'];
let isBacked: boolean;

beforeEach(() => {
  clock = new ManualClock(START_MS);
  store = new MemoryStore();
  key = new SecretBytes(fixed('store key'));
  started = 0;
  standing = 'never';
  isBacked = true;
});

const node = (account: string) =>
  ({
    identity: { account: AccountId.of(fixed(account)) },
    store,
    storeKey: key,
    // A rekey uses nothing else of an open node.
  }) as unknown as OpenNode;

const rekeyOf = (account = 'account', by: Clock = clock) =>
  new FleetRekey({
    wanted: () => wanted,
    node: () => node(account),
    isBacked: () => isBacked,
    rotation: { start: () => void started++, standing: () => ({ state: standing }) },
    clock: by,
    log: () => undefined,
  });

it('begins within an hour, at a time that the account decides', async () => {
  const times = new Set<number>();
  for (const account of ['a', 'b', 'c', 'd']) {
    store = new MemoryStore();
    started = 0;
    const rekey = rekeyOf(account);
    const sinceMs = clock.nowMs();
    for (; started === 0; await clock.advance(60_000)) await rekey.look();
    times.add(clock.nowMs() - sinceMs);
  }
  expect(times.size).toBeGreaterThan(2);
  expect(Math.max(...times)).toBeLessThanOrEqual(HOUR_MS + 60_000);
});

it('is not held off by a clock that was set back', async () => {
  await rekeyOf().look();
  expect(started).toBe(0);
  clock = new ManualClock(START_MS - 1_000 * HOUR_MS);
  await rekeyOf().look();
  expect(started).toBe(1);
});

it('is not held off where the host set the clock ahead at an attempt that failed', async () => {
  await rekeyOf().look();
  let offMs = 1_000 * HOUR_MS;
  const real = clock;
  const rekey = rekeyOf('account', {
    nowMs: () => real.nowMs() + offMs,
    monotonicMs: () => real.nowMs(),
    sleep: (ms) => real.sleep(ms),
  });
  await rekey.look();
  standing = 'failed';
  offMs = 0;
  await real.advance(2 * HOUR_MS);
  await rekey.look();
  expect(started).toBe(2);
});

it('starts no change while one runs or the node is not backed, and tries again a quarter of an hour after a failure', async () => {
  const rekey = rekeyOf();
  await rekey.look();
  await clock.advance(HOUR_MS);
  standing = 'running';
  await rekey.look();
  standing = 'never';
  isBacked = false;
  await rekey.look();
  expect(started).toBe(0);
  isBacked = true;
  await rekey.look();
  standing = 'failed';
  await rekey.look();
  await clock.advance(15 * 60_000 - 1);
  await rekey.look();
  expect(started).toBe(1);
  await clock.advance(1);
  await rekey.look();
  expect(started).toBe(2);
});

it('is done when another key is in force; a record that cannot be read is made again', async () => {
  const rekey = rekeyOf();
  await rekey.look();
  expect(rekey.report).toEqual({ ...wanted, state: 'waiting' });
  key = new SecretBytes(fixed('another key'));
  await rekey.look();
  expect(rekey.report).toEqual({ ...wanted, state: 'done' });
  await clock.advance(2 * HOUR_MS);
  await rekey.look();
  expect(started).toBe(0);
  await (await store.namespace('latchkey/fleet')).put('rekey', new Uint8Array([1]));
  await rekey.look();
  expect(rekey.report?.state).toBe('waiting');
});
