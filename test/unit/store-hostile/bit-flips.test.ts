import { describe, expect, it } from 'vitest';
import { fingerprint } from '../../simulation/store-model.ts';
import { openTampered, victim } from './hostile-store.ts';

describe.each([
  ['without a checkpoint', Number.POSITIVE_INFINITY],
  ['with a checkpoint', 0],
])('V7 one flipped bit in every byte, %s', (_, checkpointBytes) => {
  it('of a cleanly closed store: the store is refused, or nothing is changed', async () => {
    const store = await victim('closed', { checkpointBytes });
    const tally = new Map<string, number>();
    for (const [path, bytes] of store.simulated.disk.files()) {
      for (let at = 0; at < bytes.length; at++) {
        const disk = store.simulated.disk.clone();
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        disk.tamper(path, flipped);
        const outcome = await openTampered(store, disk);
        // An altered checkpoint is not used; everything is replayed.
        const isCheckpoint = path.includes('/checkpoint-');
        if (isCheckpoint) expect(outcome.kind, `${path} byte ${at}`).toBe('opened');
        const what = outcome.kind === 'refused' ? outcome.code : isCheckpoint ? 'replayed' : 'opened';
        tally.set(what, (tally.get(what) ?? 0) + 1);
        if (outcome.kind === 'opened')
          expect(fingerprint(outcome.contents), `${path} byte ${at}`).toBe(fingerprint(store.contents));
      }
    }
    const refused = [...tally].reduce(
      (sum, [what, count]) => sum + (what === 'opened' || what === 'replayed' ? 0 : count),
      0,
    );
    expect(refused).toBeGreaterThan(2000);
    expect((tally.get('replayed') ?? 0) > 500).toBe(checkpointBytes === 0);
    // Only padding that nothing reads may be open to change.
    expect(tally.get('opened') ?? 0, JSON.stringify([...tally])).toBeLessThan(refused / 10);
  }, 600_000);

  it('of a store after a power cut: the store is refused, or at most the last write counts as torn', async () => {
    const compaction = checkpointBytes === 0 ? 'automatic' : 'manual';
    const store = await victim('cut', { checkpointBytes, compaction });
    const checkpoints = [...store.simulated.disk.files().keys()].filter((path) =>
      path.includes('/checkpoint-'),
    );
    expect(checkpoints).toHaveLength(checkpointBytes === 0 ? 1 : 0);
    const [last, before] = [store.history.at(-1), store.history.at(-2)];
    const allowed = new Set([last, before].map((contents) => fingerprint(contents ?? new Map())));
    let torn = 0;
    for (const [path, bytes] of store.simulated.disk.files()) {
      for (let at = 0; at < bytes.length; at++) {
        const disk = store.simulated.disk.clone();
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (0x80 >> (at % 8));
        disk.tamper(path, flipped);
        const outcome = await openTampered(store, disk);
        if (outcome.kind === 'refused') continue;
        const text = fingerprint(outcome.contents);
        expect(allowed.has(text), `${path} byte ${at}`).toBe(true);
        if (text !== fingerprint(store.contents)) torn++;
      }
    }
    expect(torn).toBeGreaterThan(0);
  }, 600_000);
});
