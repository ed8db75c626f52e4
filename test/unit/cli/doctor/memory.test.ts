import { describe, expect, it } from 'vitest';
import { memoryFindings } from '../../../../src/cli/doctor/memory.ts';

const noSwap = 'Filename\tType\tSize\tUsed\tPriority\n';
const onDisk = `${noSwap}/dev/vdb2 partition 8388604 0 -2\n`;
const limits = (core: string) =>
  `Limit  Soft Limit  Hard Limit  Units\nMax core file size  ${core}  unlimited  bytes\n`;

/** Levels of swap and core files, with these files. */
async function levelsOf(files: Readonly<Record<string, string>>, pid: number | 'self' = 7) {
  const [swap, core] = await memoryFindings({ pid }, async (path) => files[path]);
  for (const finding of [swap, core]) if (finding?.level !== 'good') expect(finding?.advice).toBeTruthy();
  return [swap?.level, core?.level];
}
const swapOf = async (files: Readonly<Record<string, string>>, pid?: number | 'self') =>
  (await levelsOf(files, pid))[0];
const coreOf = async (files: Readonly<Record<string, string>>, pid?: number | 'self') =>
  (await levelsOf(files, pid))[1];

describe('swap', () => {
  it('is good where there is none, or only one in memory', async () => {
    expect(await swapOf({ '/proc/swaps': noSwap })).toBe('good');
    expect(await swapOf({})).toBe('good');
    expect(await swapOf({ '/proc/swaps': `${noSwap}/dev/zram0 partition 1 0 100\n` })).toBe('good');
  });

  it('on a disk is wrong, unless the service of the node may not use it', async () => {
    const group = { '/proc/swaps': onDisk, '/proc/7/cgroup': '0::/system.slice/latchkey.service\n' };
    const max = '/sys/fs/cgroup/system.slice/latchkey.service/memory.swap.max';
    expect(await swapOf(group)).toBe('wrong');
    expect(await swapOf({ ...group, [max]: 'max\n' })).toBe('wrong');
    expect(await swapOf({ ...group, [max]: '0\n' })).toBe('good');
    expect(await swapOf({ '/proc/swaps': onDisk }, 'self')).toBe('wrong');
  });

  it('that has memory of the node already is wrong whatever the service may', async () => {
    const files = {
      '/proc/swaps': onDisk,
      '/proc/7/status': 'Name:\tnode\nVmSwap:\t     128 kB\n',
      '/proc/7/cgroup': '0::/a\n',
      '/sys/fs/cgroup/a/memory.swap.max': '0',
    };
    expect(await swapOf(files)).toBe('wrong');
    expect(await swapOf({ ...files, '/proc/7/status': 'VmSwap:\t 0 kB\n' })).toBe('good');
  });
});

describe('core files', () => {
  const filter = (value: string) => ({ '/proc/7/coredump_filter': `${value}\n` });

  it('without memory are good, whatever is allowed', async () => {
    expect(await coreOf({ ...filter('00000000'), '/proc/7/limits': limits('unlimited') })).toBe('good');
  });

  it('that are switched off are good, unless the kernel gives them to a program', async () => {
    const off = { ...filter('00000033'), '/proc/7/limits': limits('0') };
    expect(await coreOf({ ...off, '/proc/sys/kernel/core_pattern': 'core\n' })).toBe('good');
    const pattern = '|/usr/lib/systemd/systemd-coredump %P %u\n';
    expect(await coreOf({ ...off, '/proc/sys/kernel/core_pattern': pattern })).toBe('wrong');
  });

  it('with memory are wrong; of a node that does not run, a warning', async () => {
    expect(await coreOf({ ...filter('00000033'), '/proc/7/limits': limits('unlimited') })).toBe('wrong');
    expect(await coreOf({ '/proc/self/limits': limits('1024') }, 'self')).toBe('warning');
  });
});
