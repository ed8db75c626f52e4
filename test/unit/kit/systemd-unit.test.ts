import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../../support/temp-folder.ts';

const unit = readFileSync(new URL('../../../kit/systemd/latchkey.service', import.meta.url), 'utf8');
const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;
const program = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** Worst value of `systemd-analyze security` that is accepted, in tenths; 100 is no protection at all. */
const MAX_EXPOSURE = 20;

/** Runs a check of `systemd-analyze` over a text, with a program that is on this machine. */
async function analyze(text: string, ...args: readonly string[]) {
  await using folder = await tempFolder();
  const path = join(folder.path, 'latchkey.service');
  writeFileSync(path, text.replace('/usr/local/bin/latchkey', `${process.execPath} ${program}`));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, path], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** All values of a key; a later one of most keys replaces the ones before. */
const valuesOf = (key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1] ?? '');

describe('the unit of systemd', () => {
  it.skipIf(!hasAnalyze)('is understood by systemd completely', async () => {
    expect(await analyze(unit, 'verify', '--man=no')).toMatchObject({ status: 0, stderr: '' });
  });

  it.skipIf(!hasAnalyze)('the check notices a key that does not exist', async () => {
    const { stderr } = await analyze(unit.replace('LimitCORE=', 'LimitCores='), 'verify', '--man=no');
    expect(stderr).toContain('LimitCores');
  });

  it.skipIf(!hasAnalyze)('leaves the service little that it could do to its machine', async () => {
    const args = ['security', '--offline=true', '--no-pager'];
    const hard = await analyze(unit, ...args, `--threshold=${MAX_EXPOSURE}`);
    expect(hard.status, hard.stdout).toBe(0);
    const soft = await analyze(
      unit.replace('ProtectSystem=strict', ''),
      ...args,
      `--threshold=${MAX_EXPOSURE}`,
    );
    expect(soft.status).not.toBe(0);
  });

  it.each([
    // Keys never reach a disk: no core file by any way, no swap.
    ['LimitCORE', '0'],
    ['MemorySwapMax', '0'],
    ['WatchdogSignal', 'SIGKILL'],
    // A decoder that memory ends must not end the node.
    ['OOMPolicy', 'continue'],
    // systemd-notify is a child.
    ['NotifyAccess', 'all'],
    ['UMask', '0077'],
    ['ExecReload', '/bin/kill -HUP $MAINPID'],
  ])('sets %s=%s', (key, value) => {
    expect(valuesOf(key)).toEqual([value]);
  });

  it('leaves room for three decoders at their limit, and for the node', () => {
    const source = readFileSync(new URL('../../../src/chain/decoder-process.ts', import.meta.url), 'utf8');
    const decoderMiB = Number(/MAX_RSS_BYTES = (\d+) \* 1024 \* 1024/.exec(source)?.[1]);
    const maxMiB = Number(/^(\d+)G$/.exec(valuesOf('MemoryMax')[0] ?? '')?.[1]) * 1024;
    expect(maxMiB - 3 * decoderMiB).toBeGreaterThanOrEqual(768);
  });
});
