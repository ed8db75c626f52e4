import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NodeFolder } from '../../../src/boot/node/node-folder.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { tempFolder } from '../../support/temp-folder.ts';

it.each([
  ['node.new itself', (data: string) => join(data, 'node.new')],
  ['a folder in node.new', (data: string) => join(data, 'node.new', 'store')],
])('what a link leads to is not removed: %s is a link', async (_what, linkIn) => {
  await using folder = await tempFolder();
  const data = join(folder.path, 'data');
  const elsewhere = join(folder.path, 'elsewhere');
  await mkdir(join(elsewhere, 'below'), { recursive: true });
  await writeFile(join(elsewhere, 'below', 'file'), 'kept');
  await mkdir(data);
  const link = linkIn(data);
  if (link !== join(data, 'node.new')) await mkdir(join(data, 'node.new'));
  await symlink(elsewhere, link);
  await new NodeFolder(nodeFileSystem, data).begin().catch(() => undefined);
  expect(await readFile(join(elsewhere, 'below', 'file'), 'utf8')).toBe('kept');
  expect(await readdir(join(data, 'node.new'))).toEqual([]);
});
