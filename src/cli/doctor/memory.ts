import { type Finding, type ReadText, readText } from './finding.ts';

/** The process that is looked at: the running node, or this one where none runs. */
export interface Subject {
  readonly pid: number | 'self';
}

/** Whether memory with keys can reach a disk: by swap, or by a core file. */
export async function memoryFindings(
  subject: Subject,
  read: ReadText = readText,
): Promise<readonly Finding[]> {
  return [await swapFinding(subject, read), await coreFinding(subject, read)];
}

async function swapFinding({ pid }: Subject, read: ReadText): Promise<Finding> {
  const [, ...devices] = ((await read('/proc/swaps')) ?? '').trimEnd().split('\n');
  const onDisk = devices
    .map((line) => line.split(/\s/)[0] ?? '')
    .filter((name) => name !== '' && !/^\/dev\/zram\d+$/.test(name));
  if (onDisk.length === 0) return { check: 'swap', level: 'good', text: 'no swap on a disk' };
  const swappedKiB = Number(
    /^VmSwap:\s+(\d+) kB$/m.exec((await read(`/proc/${pid}/status`)) ?? '')?.[1] ?? 0,
  );
  if (pid !== 'self' && swappedKiB > 0) {
    return {
      check: 'swap',
      level: 'wrong',
      text: `${swappedKiB} kB of the node's memory, which holds keys, are in swap`,
      advice:
        'set MemorySwapMax=0 for the service or `swapoff -a`, and treat the swap device as a copy of keys',
    };
  }
  if (pid !== 'self' && (await swapMaxOf(pid, read)) === '0')
    return { check: 'swap', level: 'good', text: 'the service of the node may not use swap' };
  return {
    check: 'swap',
    level: 'wrong',
    text: `swap is on (${onDisk.join(', ')}): keys in memory can reach the disk of the host`,
    advice: 'set MemorySwapMax=0 for the service (kit/systemd/latchkey.service does), or `swapoff -a`',
  };
}

/** `memory.swap.max` of the control group of a process. */
async function swapMaxOf(pid: number, read: ReadText): Promise<string | undefined> {
  const path = /^0::(\/.*)$/m.exec((await read(`/proc/${pid}/cgroup`)) ?? '')?.[1];
  return path === undefined ? undefined : (await read(`/sys/fs/cgroup${path}/memory.swap.max`))?.trim();
}

async function coreFinding({ pid }: Subject, read: ReadText): Promise<Finding> {
  const found = (level: Finding['level'], text: string, advice?: string): Finding => ({
    check: 'core-files',
    level,
    text,
    ...(advice === undefined ? {} : { advice }),
  });
  const filter = (await read(`/proc/${pid}/coredump_filter`))?.trim();
  if (filter !== undefined && /^0+$/.test(filter))
    return found('good', 'a core file of the node holds no memory');
  const limit = /^Max core file size\s+(\S+)/m.exec((await read(`/proc/${pid}/limits`)) ?? '')?.[1];
  const pattern = ((await read('/proc/sys/kernel/core_pattern')) ?? '').trim();
  const isPiped = pattern.startsWith('|');
  if (limit === '0' && !isPiped) return found('good', 'core files are switched off');
  const why = isPiped
    ? `core files go to a program (${pattern.slice(1).split(' ', 1)[0]}), whatever the limit of the service is`
    : `core files of up to ${limit ?? 'any'} bytes are written`;
  const advice = 'set LimitCORE=0 for the service, and kernel.core_pattern to a plain name (`core`)';
  // `serve` switches memory in its core files off; so only a node that runs without this is in danger.
  if (pid === 'self')
    return found('warning', `${why}; a node switches memory in them off for itself`, advice);
  return found('wrong', `${why}, with the keys in the node's memory`, advice);
}
