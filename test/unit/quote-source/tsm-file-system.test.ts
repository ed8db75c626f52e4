import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDevelopmentPki } from '../../../mock-tdx/development-pki.ts';
import { ReportData } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { ConfigfsQuoteSource } from '../../../src/quote-source/configfs-quote-source.ts';
import { type TsmFileSystem, tsmFileSystem } from '../../../src/quote-source/tsm-file-system.ts';

const pki = createDevelopmentPki({ seed: new Uint8Array(32) });
const reportData = ReportData.of(new Uint8Array(64).fill(6));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'latchkey-tsm-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** The real file operations, and the kernel's part of the work, done in real files. */
const withKernel: TsmFileSystem = {
  ...tsmFileSystem,
  async mkdir(entry) {
    await tsmFileSystem.mkdir(entry);
    writeFileSync(join(entry, 'provider'), 'tdx_guest\n', { mode: 0o444 });
    writeFileSync(join(entry, 'generation'), '0\n');
    writeFileSync(join(entry, 'inblob'), '', { mode: 0o200 });
  },
  async write(path, bytes) {
    await tsmFileSystem.write(path, bytes);
    const entry = dirname(path);
    expect(basename(path)).toBe('inblob');
    writeFileSync(join(entry, 'generation'), '1\n');
    writeFileSync(join(entry, 'outblob'), pki.quote({ reportData: new Uint8Array(readFileSync(path)) }));
  },
  async rmdir(entry) {
    // The attributes of a configfs entry vanish with it.
    for (const name of readdirSync(entry)) rmSync(join(entry, name));
    await tsmFileSystem.rmdir(entry);
  },
};

describe('configfs-tsm through the real file system', () => {
  it('gives a quote and leaves no entry behind', async () => {
    const source = new ConfigfsQuoteSource({ directory, fileSystem: withKernel });
    expect(toHex(await source.quote(reportData))).toBe(toHex(pki.quote({ reportData })));
    expect(readdirSync(directory)).toEqual([]);
  });

  it('reports the missing requirement on a machine without TDX', async () => {
    const source = new ConfigfsQuoteSource({ directory: join(directory, 'tsm', 'report') });
    await expect(source.quote(reportData)).rejects.toMatchObject({ code: 'QUOTE_SOURCE_UNAVAILABLE' });
  });

  it('finds no attributes in an ordinary folder', async () => {
    const source = new ConfigfsQuoteSource({ directory });
    await expect(source.quote(reportData)).rejects.toMatchObject({
      code: 'QUOTE_SOURCE_UNAVAILABLE',
      field: 'provider',
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});
