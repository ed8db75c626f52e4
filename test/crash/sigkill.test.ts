import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { crashRepeatedly } from './crash-series.ts';

/** Runs in the suite; `scripts/soak-store.ts` does a thousand. */
const KILLS = 50;

describe('V6 acknowledged records survive SIGKILL', () => {
  it(`V6 ${KILLS} children with 8 writers, killed at random moments, break no promise`, async () => {
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
