import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { crashRepeatedly } from './crash-series.ts';

/** Runs in the suite; `scripts/soak-store.ts` does a thousand. */
const KILLS = 50;

/** The predecessor, on sled with its default of flushing every 500 ms, read back 0 to 16 of each 1,000. */
const PREDECESSOR_RUNS = 20;

describe('V6 acknowledged records survive SIGKILL', () => {
  it(`V6 ${PREDECESSOR_RUNS} times 1,000 acknowledged puts, then an immediate kill: all are readable`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-crash-'));
    try {
      const result = await crashRepeatedly({
        folder,
        key: new SecretBytes(systemRandom(32)),
        kills: PREDECESSOR_RUNS,
        killsPerStore: 1,
        seed: 1,
        killTime: { after: 'thousandth', milliseconds: 0 },
      });
      expect(result.broken).toEqual([]);
      // Of the first 1,000 acknowledgements of a run at most 16 are for batches and counters.
      expect(result.acknowledged).toBeGreaterThanOrEqual(PREDECESSOR_RUNS * (1000 - 16));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 240_000);

  it(`V6 ${KILLS} children with 8 writers, killed at random moments, lose no acknowledged record`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-crash-'));
    try {
      const result = await crashRepeatedly({
        folder,
        key: new SecretBytes(systemRandom(32)),
        kills: KILLS,
        killsPerStore: 10,
        seed: Date.now() % 2 ** 31,
      });
      expect(result.broken, `seed ${result.seed}`).toEqual([]);
      // Proof that the kills came while there was something to lose.
      expect(result.acknowledged).toBeGreaterThan(KILLS * 10);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 240_000);
});
