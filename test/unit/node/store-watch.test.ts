import { expect, it } from 'vitest';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { StoreWatch } from '../../../src/node/store-watch.ts';
import { Metrics } from '../../../src/observe/metrics.ts';

function watching() {
  const events: string[] = [];
  const metrics = new Metrics();
  const watch = new StoreWatch({
    metrics,
    log: (level, event, fields) => void events.push(`${level} ${event} ${fields?.['code'] ?? ''}`.trim()),
  });
  return { watch, events, metrics };
}

const fault = (code: 'STORE_DISK_FULL' | 'STORE_READ_FAILED') => ({
  error: new ProblemError(code, 'the disk does not work'),
  sinceMs: 1,
});

it('a compaction that fails is an event and a metric, and its next success is an event', async () => {
  const { watch, events, metrics } = watching();
  watch.compactionFaultChanged(fault('STORE_DISK_FULL'));
  expect(await metrics.text()).toContain('latchkey_store_faults_total{code="STORE_DISK_FULL"} 1');
  watch.compactionFaultChanged(undefined);
  expect(events).toEqual(['error store.compaction-failed STORE_DISK_FULL', 'info store.compacts-again']);
  // Writes go on: readiness says nothing of a compaction.
  expect([watch.report, watch.advice]).toEqual([{}, undefined]);
});

it('a read and a close that fail are events and metrics', async () => {
  const { watch, events, metrics } = watching();
  watch.readFailed(fault('STORE_READ_FAILED'));
  watch.closeFailed(fault('STORE_READ_FAILED'));
  expect(events).toEqual([
    'error store.read-failed STORE_READ_FAILED',
    'error store.close-failed STORE_READ_FAILED',
  ]);
  expect(await metrics.text()).toContain('latchkey_store_faults_total{code="STORE_READ_FAILED"} 2');
});

it.each([true, false])(
  'sizes, free bytes and whether writes are taken (%s) are metrics',
  async (takesWrites) => {
    const { watch, metrics } = watching();
    const health = { diskBytes: 30, liveBytes: 20, freeBytes: 10, takesWrites };
    await watch.refresh({
      health: async () => ({
        ...health,
        writeFault: undefined,
        isDiskFull: false,
        lastDiskFault: undefined,
        compactionFault: undefined,
      }),
    });
    const text = await metrics.text();
    expect(text).toContain('latchkey_store_bytes 30\n');
    expect(text).toContain('latchkey_store_live_bytes 20\n');
    expect(text).toContain('latchkey_store_free_bytes 10\n');
    expect(text).toContain(`latchkey_store_takes_writes ${takesWrites ? 1 : 0}\n`);
  },
);

it('a checkpoint that was ignored is an event, a metric, and said by readiness and status, beside a fault', async () => {
  const { watch, events, metrics } = watching();
  expect(await metrics.text()).toContain('latchkey_store_checkpoint_ignored 0');
  watch.checkpointIgnored();
  expect(events).toEqual(['warn store.checkpoint-ignored']);
  expect(await metrics.text()).toContain('latchkey_store_checkpoint_ignored 1');
  expect(watch.report).toEqual({ storeCheckpointIgnored: true });
  expect(watch.advice).toContain('no record is affected');
  watch.writeFaultChanged(fault('STORE_DISK_FULL'));
  expect(watch.report).toMatchObject({
    storeCheckpointIgnored: true,
    storeFault: { code: 'STORE_DISK_FULL' },
  });
  expect(watch.advice).toMatch(/cannot write .* no record is affected/s);
});
