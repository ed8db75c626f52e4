import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  backupDatastore,
  openDatastore,
  restoreDatastore,
  SecretBytes,
  type StoreAccess,
} from '../../src/rituals/rituals.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());
const at = (name: string): string => join(folder.path, name);
const secret = (text: string): SecretBytes => new SecretBytes(new TextEncoder().encode(text));
const password = (text = 'a long password') => ({ password: secret(text) });
const fragment = Uint8Array.of(1, 2, 3);
const code = (text: string) => expect.objectContaining({ code: text });

/** The seed's example record, stored in a folder that is made by it. */
async function storeExample(access: StoreAccess): Promise<void> {
  const opened = await openDatastore(at('store'), access);
  await opened.datastore.storeFragment(42, 13_234_134, fragment);
  await opened.close();
}

describe('R1 a datastore by its path', () => {
  it.each([
    ['password', () => password(), () => password('another password'), 'STORE_PASSWORD_WRONG'],
    [
      'key',
      () => ({ storeKey: secret('k'.repeat(32)) }),
      () => ({ storeKey: secret('x'.repeat(32)) }),
      'STORE_WRONG_KEY',
    ],
  ] as const)(
    'R1 is created and reopened; another %s is refused and changes nothing',
    async (_kind, right, wrong, refusal) => {
      await storeExample(right());
      await expect(openDatastore(at('store'), wrong())).rejects.toThrow(code(refusal));
      const { datastore, close } = await openDatastore(at('store'), right());
      expect(await datastore.retrieveFragment(42)).toEqual({ id: 42, timestamp: 13_234_134, fragment });
      await close();
    },
  );

  it('R1 options reach the datastore; after a refused option the store is closed again', async () => {
    await storeExample(password());
    const authorize = 'nobody' as never;
    await expect(openDatastore(at('store'), password(), { authorize })).rejects.toThrow(TypeError);
    const opened = await openDatastore(at('store'), password(), {
      authorize: () => ({ allowed: false, because: 'unpaid', reason: 'test' }),
    });
    await expect(opened.datastore.retrieveFragment(42)).rejects.toThrow(code('RITUAL_UNPAID'));
    await opened.close();
  });

  it('R5 its backup is restored by path; a wrong or damaged backup creates no files', async () => {
    const opened = await openDatastore(at('store'), password());
    await opened.datastore.storeFragment(42, 13_234_134, fragment);
    await backupDatastore(opened, at('store'), at('rituals.backup'));
    await opened.close();
    const restored = await restoreDatastore(at('rituals.backup'), at('second'), password());
    expect((await restored.datastore.retrieveFragment(42)).fragment).toEqual(fragment);
    await restored.close();
    const again = await openDatastore(at('store'), password());
    await backupDatastore(again, at('store'), at('rituals.json'));
    await again.close();
    expect(JSON.parse(await readFile(at('rituals.json'), 'utf8'))).toMatchObject({ version: 1 });
    const fromJson = await restoreDatastore(at('rituals.json'), at('from-json'), password());
    expect((await fromJson.datastore.retrieveFragment(42)).fragment).toEqual(fragment);
    await fromJson.close();
    await expect(restoreDatastore(at('rituals.backup'), at('second'), password())).rejects.toThrow(
      code('STORE_EXISTS'),
    );
    await expect(restoreDatastore(at('rituals.backup'), at('third'), password('wrong one'))).rejects.toThrow(
      code('STORE_PASSWORD_WRONG'),
    );
    await writeFile(at('cut'), (await readFile(at('rituals.backup'))).subarray(0, -1));
    await expect(restoreDatastore(at('cut'), at('third'), password())).rejects.toThrow(
      code('STORE_BACKUP_TRUNCATED'),
    );
    const fresh = await openDatastore(at('third'), password());
    expect(fresh.datastore.count).toBe(0);
    await fresh.close();
  });
});
