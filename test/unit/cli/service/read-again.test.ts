import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readConfigAgain } from '../../../../src/cli/service/read-again.ts';
import { tempFolder } from '../../../support/temp-folder.ts';
import { yamlWith } from '../../config/config-fixture.ts';

const text = yamlWith({ 'limits.maxKeys': 777 });

it('a file is read only once nobody writes it any more', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'latchkey.yaml');
  // Each part alone is a valid configuration, with other settings than the whole.
  writeFileSync(path, yamlWith());
  const parts = ['limits:\n', '  maxKeys: 777\n', '  maxLineages: 200778\n'];
  const writing = setInterval(() => {
    const part = parts.shift();
    if (part === undefined) clearInterval(writing);
    else appendFileSync(path, part);
  }, 150);
  const { limits } = await readConfigAgain(path);
  expect([limits.maxKeys, limits.maxLineages]).toEqual([777, 200_778]);
});

it('a file whose last line does not end is half written, although it is a valid configuration', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'latchkey.yaml');
  writeFileSync(path, text.slice(0, text.lastIndexOf('777') + 2));
  await expect(readConfigAgain(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  writeFileSync(path, text);
  expect((await readConfigAgain(path)).limits.maxKeys).toBe(777);
});

it('a file that is gone is refused', async () => {
  await using folder = await tempFolder();
  await expect(readConfigAgain(join(folder.path, 'latchkey.yaml'))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});
