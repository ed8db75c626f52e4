import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/bytes/concat.ts';
import { JsonBackupWriter, readJsonBackup } from '../../../src/rituals/json-backup.ts';

async function written(parts: readonly Uint8Array[], maxBytes?: number): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  const writer = new JsonBackupWriter(async (bytes) => void found.push(bytes.slice()), maxBytes);
  for (const part of parts) await writer.write(part);
  await writer.finish();
  return concatBytes(...found);
}
const filled = (length: number): Uint8Array => new Uint8Array(length).map((_, index) => index * 7);

describe('R5 a backup as JSON', () => {
  it('R5 carries the same bytes, however they come', async () => {
    const pieces = fc.array(fc.nat(150_000), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(pieces, async (lengths) => {
        const parts = lengths.map(filled);
        expect(Buffer.compare(readJsonBackup(await written(parts)), concatBytes(...parts))).toBe(0);
      }),
      { numRuns: 30 },
    );
    for (const length of [0, 1, 49_151, 49_152, 49_153, 98_304])
      expect(Buffer.compare(readJsonBackup(await written([filled(length)])), filled(length))).toBe(0);
  });

  it('R5 is refused while it is written when no restore could read it', async () => {
    const { length } = await written([filled(100_000)]);
    await expect(written([filled(100_000)], length)).resolves.toHaveLength(length);
    await expect(written([filled(100_000)], length - 1)).rejects.toMatchObject({
      code: 'RITUALS_BACKUP_TOO_LARGE',
    });
  });
});
