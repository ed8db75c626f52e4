import { expect, it, vi } from 'vitest';
import { adviceOn } from '../../../src/boot/node/locked-cause.ts';
import type { NodeState } from '../../../src/boot/node/node-state.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { Drain } from '../../../src/node/drain.ts';
import { FormerClients } from '../../../src/node/former-clients.ts';
import { NodeReport } from '../../../src/node/node-report.ts';
import { StoreWatch } from '../../../src/node/store-watch.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { lineageKeyNumber, newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

it('readiness requests make the node count its keys at most once a second', async () => {
  const world = keyServerWorld();
  const { keyServer, metrics, verifier, pki } = world;
  const clock = new FlooredClock(world.clock);
  const formerClients = new FormerClients({ store: new MemoryStore(), log: silentLog, clock });
  const drain = new Drain({ vault: world.vault, log: silentLog, clock });
  const serving = { keyServer, formerClients, drain };
  let record: 'unknown' | undefined = 'unknown';
  const never = () => {
    throw new Error('not asked here');
  };
  const chain = { finalized: never, time: never, recordOf: () => record };
  const report = new NodeReport(
    {
      metrics,
      verifier,
      clock,
      collateral: memoryCollateral(pki, world.clock),
      storeWatch: new StoreWatch({ log: silentLog, metrics }),
    },
    { open: () => undefined, serving: () => serving, chain: () => chain },
  );
  const atRisk = () => report.readiness().report['clientsAtRisk'];
  const walks = vi.spyOn(world.vault, 'keys');
  for (let asked = 0; asked < 50; asked++) expect(atRisk()).toBe(0);
  expect(walks).toHaveBeenCalledTimes(1);

  const client = new ProtocolClient(world);
  const slotId = newSlotId();
  const { key } = await client.obtain({ intent: 'create', slotId });
  const reportOfStore = { threshold: 3, slots: 5, live: 3 };
  await client.link({ slotId, key }, lineageKeyNumber(1), { report: reportOfStore });
  expect(atRisk()).toBe(0);
  await world.clock.advance(1_000);
  expect(atRisk()).toBe(1);
  expect(report.readiness().report['clientsUnregistered']).toBeUndefined();
  await world.clock.advance(-500);
  expect(atRisk()).toBe(1);
  expect(walks).toHaveBeenCalledTimes(3);
  record = undefined;
  await world.clock.advance(2_000);
  expect(report.readiness().report).toMatchObject({ clients: 1, clientsUnregistered: 1 });
});

it.each(['readiness', 'status'] as const)('%s reads each fact about the node once', (answer) => {
  const world = keyServerWorld();
  const { metrics, verifier, pki } = world;
  const asked = { restartRefusal: 0, ownRecord: 0, fleet: 0, ring: 0 };
  const nothing = (name: keyof typeof asked) => () => void asked[name]++ as undefined;
  const report = new NodeReport(
    {
      metrics,
      verifier,
      clock: new FlooredClock(world.clock),
      collateral: memoryCollateral(pki, world.clock),
      storeWatch: new StoreWatch({ log: silentLog, metrics }),
    },
    {
      open: () => undefined,
      serving: () => undefined,
      restartRefusal: nothing('restartRefusal'),
      ownRecord: nothing('ownRecord'),
      fleet: nothing('fleet'),
      ring: nothing('ring'),
    },
  );
  report[answer]();
  expect(asked).toEqual({ restartRefusal: 1, ownRecord: 1, fleet: 1, ring: 1 });
});

it('a draining server is not ready, and reports the number of remaining clients', async () => {
  const world = keyServerWorld();
  const { keyServer, metrics, verifier, pki } = world;
  const clock = new FlooredClock(world.clock);
  const formerClients = new FormerClients({ store: new MemoryStore(), log: silentLog, clock });
  const drain = new Drain({ vault: world.vault, log: silentLog, clock });
  const report = new NodeReport(
    {
      metrics,
      verifier,
      clock,
      collateral: memoryCollateral(pki, world.clock),
      storeWatch: new StoreWatch({ log: silentLog, metrics }),
    },
    { open: () => undefined, serving: () => ({ keyServer, formerClients, drain }) },
  );
  report.setState({ name: 'backed', live: 5, n: 5, t: 3, generation: 1, slots: [] });
  const client = new ProtocolClient(world);
  await client.obtain({ intent: 'create', slotId: newSlotId() });
  const metricsText = async () => {
    await report.refreshMetrics();
    return metrics.text();
  };
  expect(report.readiness()).toMatchObject({ ready: true });
  expect(report.info()).not.toHaveProperty('draining');
  expect(await metricsText()).toContain('latchkey_draining 0\n');
  drain.start();
  // At once, though the counts of a moment ago are kept for a second.
  expect(report.readiness()).toMatchObject({
    ready: false,
    report: { state: 'backed', draining: { remaining: 1, moved: 0 } },
  });
  expect(report.info()).toMatchObject({ draining: true });
  expect(report.status()).toMatchObject({ explanation: expect.stringContaining('This server drains') });
  expect(await metricsText()).toContain('latchkey_draining 1\n');
  expect(await metricsText()).toContain('latchkey_draining_clients 1\n');
  drain.cancel();
  expect(report.readiness()).toMatchObject({ ready: true });
  expect(await metricsText()).toContain('latchkey_draining_clients 0\n');
});

it('a full disk is reported in events, metrics, readiness and advice until a write succeeds', async () => {
  const world = keyServerWorld();
  const { metrics, verifier, pki } = world;
  const events: string[] = [];
  const storeWatch = new StoreWatch({ log: (_level, event) => void events.push(event), metrics });
  const collateral = memoryCollateral(pki, world.clock);
  const report = new NodeReport(
    { metrics, verifier, clock: new FlooredClock(world.clock), collateral, storeWatch },
    { open: () => undefined, serving: () => undefined },
  );
  report.setState({ name: 'backed', live: 5, n: 5, t: 3, generation: 1, slots: [] });
  const before = report.readiness();
  const error = new ProblemError('STORE_DISK_FULL', 'the disk is full');
  storeWatch.writeFaultChanged({ error, sinceMs: 1 });
  expect(report.readiness()).toMatchObject({
    ready: true,
    report: { storeFault: { code: 'STORE_DISK_FULL', sinceMs: 1 } },
  });
  expect(report.status()['explanation']).toContain(adviceOn('disk-full'));
  expect(await metrics.text()).toContain('latchkey_store_write_fault 1');
  expect(await metrics.text()).toContain('latchkey_store_faults_total{code="STORE_DISK_FULL"} 1');
  storeWatch.writeFaultChanged(undefined);
  expect(report.readiness()).toEqual(before);
  expect(await metrics.text()).toContain('latchkey_store_write_fault 0');
  expect(events).toEqual(['store.write-failed', 'store.writes-again']);
});

it('says what a restart would meet, as a field and in the explanation', () => {
  const world = keyServerWorld();
  const { metrics, verifier, pki } = world;
  let refusal: string | undefined;
  const report = new NodeReport(
    {
      metrics,
      verifier,
      clock: new FlooredClock(world.clock),
      collateral: memoryCollateral(pki, world.clock),
      storeWatch: new StoreWatch({ log: silentLog, metrics }),
    },
    { open: () => undefined, serving: () => undefined, restartRefusal: () => refusal },
  );
  expect(report.status()).not.toHaveProperty('restartRefusal');
  refusal = 'PLATFORM_REVOKED: this platform is revoked';
  expect(report.status()).toMatchObject({
    restartRefusal: refusal,
    explanation: expect.stringContaining(
      `Do not restart this machine: its servers would refuse it. ${refusal}`,
    ),
  });
});

it('the slot numbers are those of the store in every state', async () => {
  const { metrics, verifier, pki, clock: worldClock } = keyServerWorld();
  const report = new NodeReport(
    {
      metrics,
      verifier,
      clock: new FlooredClock(worldClock),
      collateral: memoryCollateral(pki, worldClock),
      storeWatch: new StoreWatch({ log: silentLog, metrics }),
    },
    { open: () => undefined, serving: () => undefined },
  );
  const numbersIn = async (state: NodeState) => {
    report.setState(state);
    const text = await metrics.text();
    return ['live', 'wanted', 'threshold'].map((name) =>
      Number(new RegExp(`^latchkey_slots_${name} (\\S+)$`, 'm').exec(text)?.[1]),
    );
  };
  const quorum = { t: 3, n: 5 };
  const slot = { server: AccountId.of(new Uint8Array(32)), endpoint: undefined };
  const slots = [
    { ...slot, standing: 'live' as const },
    { ...slot, standing: 'asked' as const },
  ];
  expect(await numbersIn({ name: 'starting', reason: '' })).toEqual([0, 0, 0]);
  expect(await numbersIn({ name: 'unclaimed', reason: '', quorum, slots })).toEqual([1, 5, 3]);
  expect(await numbersIn({ name: 'open', quorum: { t: 2, n: 4 }, slots })).toEqual([1, 4, 2]);
  const backed = { name: 'backed', live: 5, n: 5, t: 3, generation: 1, slots: [] } as const;
  expect(await numbersIn(backed)).toEqual([5, 5, 3]);
  expect(await numbersIn({ name: 'fenced', cause: 'newer-instance', reason: '', quorum })).toEqual([5, 5, 3]);
  expect(await numbersIn({ name: 'unbacked', reason: '', slots: [] })).toEqual([0, 1, 1]);
});
