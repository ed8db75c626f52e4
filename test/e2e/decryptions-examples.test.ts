import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { decryptionsExample } from '../../examples/decryptions.ts';
import { ritualsExample } from '../../examples/rituals.ts';

describe('examples', () => {
  it('examples/rituals.ts runs', async () => {
    expect(await ritualsExample()).toEqual([
      '42: fragment of 42',
      '43: RITUAL_EXPIRED',
      'revoked 43',
      'left: 42',
    ]);
  });

  it('examples/decryptions.ts runs', async () => {
    expect(await decryptionsExample()).toEqual([
      'PUT 200',
      'GET {"value":18446744073709551615,"signature":"c2lnbmF0dXJl"}',
      'GET 404',
    ]);
  });

  it.each(['rituals', 'decryptions'])('examples/%s.ts is shorter than 50 lines', async (name) => {
    const path = fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url));
    expect((await readFile(path, 'utf8')).trimEnd().split('\n').length).toBeLessThan(50);
  });
});
