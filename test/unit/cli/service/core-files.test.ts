import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../../../support/temp-folder.ts';

const isPlainPattern = /^[\w.%-]+$/.test(readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim());
const built = fileURLToPath(new URL('../../../../dist/src/cli/service/core-files.js', import.meta.url));

/** Ends a process by SIGABRT where core files are allowed. @returns all bytes of its core files. */
async function coreOf(before: string): Promise<Buffer> {
  await using folder = await tempFolder();
  // Put together at run time, so that the text of the program does not hold it.
  const program = `${before}; globalThis.secret = Buffer.from('c0ffee'.repeat(20), 'hex'); process.kill(process.pid, 'SIGABRT'); setInterval(() => 0, 1000);`;
  const command = `ulimit -c unlimited && exec "${process.execPath}" --input-type=module -e "$PROGRAM"`;
  const { signal } = spawnSync('sh', ['-c', command], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'] ?? '', PROGRAM: program },
  });
  expect(signal).toBe('SIGABRT');
  return Buffer.concat(readdirSync(folder.path).map((name) => readFileSync(join(folder.path, name))));
}

describe.skipIf(!isPlainPattern)('a core file', { timeout: 120_000 }, () => {
  const secret = Buffer.from('c0ffee'.repeat(20), 'hex');

  it('holds what is in memory, by default', async () => {
    expect((await coreOf('')).includes(secret)).toBe(true);
  });

  it('of a process that keeps its memory out of it does not', async () => {
    const before = `import('${built}').then(({ keepMemoryOutOfCoreFiles }) => keepMemoryOutOfCoreFiles())`;
    expect((await coreOf(`await ${before}`)).includes(secret)).toBe(false);
  });
});
