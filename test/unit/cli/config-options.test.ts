import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/cli/shared/config-options.ts';
import { yamlWith } from '../config/config-fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the folder of cached collateral', () => {
  const cacheFolderOf = async (changes: Readonly<Record<string, unknown>>) => {
    const path = join(folder, 'latchkey.yaml');
    writeFileSync(path, yamlWith({ 'node.dataFolder': './d', ...changes }));
    const { cacheFolder } = (await readConfig(path)).collateral;
    return cacheFolder?.replace(folder, '');
  };

  it('is in the data folder by default: a node without it is locked while the service of collateral is down', async () => {
    expect(await cacheFolderOf({})).toBe('/d/collateral');
    expect(await cacheFolderOf({ 'node.dataFolder': '/elsewhere' })).toBe('/elsewhere/collateral');
  });

  it('is another one, relative to the configuration, or none', async () => {
    expect(await cacheFolderOf({ 'collateral.cacheFolder': './cache' })).toBe('/cache');
    expect(await cacheFolderOf({ 'collateral.cacheFolder': './none' })).toBe('/none');
    expect(await cacheFolderOf({ 'collateral.cacheFolder': 'none' })).toBeUndefined();
  });
});
