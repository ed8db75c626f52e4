import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeSecret } from '../../../src/cli/secrets/write.ts';
import { textOfBug } from '../../../src/cli/shared/failure.ts';

it('does not quote the value of a secret that is given as its ACL by mistake', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-secret-'));
  try {
    const swapped = join(folder, 'value');
    writeFileSync(swapped, 'sk-very-secret\n');
    const options = { acl: swapped, value: swapped, key: 'none', config: 'none', url: 'none', days: 1 };
    const error = await writeSecret('deploy', options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'FIELD_INVALID', field: '--acl' });
    expect(textOfBug(error)).not.toContain('sk-');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
