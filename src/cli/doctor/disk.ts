import { realpath, statfs } from 'node:fs/promises';
import { type Finding, type ReadText, readText } from './finding.ts';

const MIB = 1024 * 1024;
/** Below this, nothing is left for one segment of the log and a copy of the keyslot file. */
const LEAST_FREE_BYTES = 64 * MIB;
const SCARCE_FREE_BYTES = 1024 * MIB;
const LEAST_FREE_INODES = 1_000;

/** File systems that are in memory. */
const inMemory = new Set(['tmpfs', 'ramfs']);
/** File systems of another machine, or of a program: whether a sync reaches a disk is theirs to decide. */
const foreign = /^(nfs4?|cifs|smb3|9p|ceph|glusterfs|fuse(\..*|blk)?|virtiofs|vboxsf)$/;

/** Room and limits of a file system. */
export interface DiskSpace {
  readonly freeBytes: number;
  /** `undefined` where the file system has no fixed number of them. */
  readonly freeInodes?: number;
}

/** What is asked about the disk; tests replace it. */
export interface DiskProbe {
  readonly readText: ReadText;
  /** The path without links. @throws where there is none. */
  readonly realPath: (path: string) => Promise<string>;
  readonly spaceAt: (path: string) => Promise<DiskSpace>;
}

const realProbe: DiskProbe = {
  readText,
  realPath: (path) => realpath(path),
  spaceAt: async (path) => {
    const { bavail, bsize, files, ffree } = await statfs(path);
    return { freeBytes: bavail * bsize, ...(files === 0 ? {} : { freeInodes: ffree }) };
  },
};

/** Whether the disk of the data folder has room, and is one on which a write that was confirmed stays. */
export async function diskFindings(
  folder: string,
  probe: DiskProbe = realProbe,
): Promise<readonly Finding[]> {
  const place = await existing(folder, probe);
  return [await spaceFinding(place, probe), ...(await mountFindings(place, probe))];
}

/** The folder, or the nearest folder above that exists already. */
async function existing(folder: string, { realPath }: DiskProbe): Promise<string> {
  for (let path = folder; path !== ''; path = path.slice(0, path.lastIndexOf('/'))) {
    const found = await realPath(path).catch(() => undefined);
    if (found !== undefined) return found;
  }
  return '/';
}

async function spaceFinding(place: string, { spaceAt }: DiskProbe): Promise<Finding> {
  const space = await spaceAt(place).catch((error: unknown) => String(error));
  if (typeof space === 'string')
    return { check: 'disk', level: 'warning', text: `room is not known: ${space}` };
  const { freeBytes, freeInodes = Number.POSITIVE_INFINITY } = space;
  const text = `${Math.floor(freeBytes / MIB)} MiB free at ${place}`;
  const advice =
    'make room before the store stops to take writes; compaction needs as much as the records in force';
  if (freeInodes < LEAST_FREE_INODES)
    return { check: 'disk', level: 'wrong', text: `${freeInodes} inodes free at ${place}`, advice };
  if (freeBytes < LEAST_FREE_BYTES) return { check: 'disk', level: 'wrong', text, advice };
  if (freeBytes < SCARCE_FREE_BYTES) return { check: 'disk', level: 'warning', text, advice };
  return { check: 'disk', level: 'good', text };
}

interface Mount {
  readonly point: string;
  readonly kind: string;
  readonly options: readonly string[];
}

/** A line of /proc/self/mountinfo (proc(5)); spaces in paths are octal there. */
function parseMount(line: string): Mount {
  const [before = '', after = ''] = line.split(' - ', 2);
  const [, , , , point = '', options = ''] = before.split(' ');
  const [kind = '', , superOptions = ''] = after.split(' ');
  return {
    point: point.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    ),
    kind,
    options: [...options.split(','), ...superOptions.split(',')],
  };
}

/** The mount that holds a path: the last one with the longest mount point. */
function mountOf(place: string, mountInfo: string): Mount | undefined {
  const mounts = mountInfo
    .split('\n')
    .filter((line) => line !== '')
    .map(parseMount);
  const holding = mounts.filter(
    ({ point }) => point === '/' || point === place || place.startsWith(`${point}/`),
  );
  return holding.reduce<Mount | undefined>(
    (best, mount) => (best === undefined || mount.point.length >= best.point.length ? mount : best),
    undefined,
  );
}

async function mountFindings(place: string, probe: DiskProbe): Promise<readonly Finding[]> {
  const mount = mountOf(place, (await probe.readText('/proc/self/mountinfo')) ?? '');
  if (mount === undefined)
    return [{ check: 'mount', level: 'warning', text: `the file system of ${place} is not known` }];
  const problems = problemsOf(mount);
  if (problems.length > 0) return problems;
  return [{ check: 'mount', level: 'good', text: `${mount.kind} at ${mount.point}` }];
}

function problemsOf({ point, kind, options }: Mount): readonly Finding[] {
  const found = (level: Finding['level'], text: string, advice: string): Finding => ({
    check: 'mount',
    level,
    text: `${kind} at ${point} ${text}`,
    advice,
  });
  return [
    ...(options.includes('ro')
      ? [found('wrong', 'is mounted read-only', `mount -o remount,rw ${point}, and look why: disks fail so`)]
      : []),
    ...(options.some((option) => option === 'nobarrier' || option === 'barrier=0')
      ? [
          found(
            'wrong',
            'has no write barriers: a power cut takes writes that were confirmed',
            'remove nobarrier or barrier=0 from the mount options',
          ),
        ]
      : []),
    ...(inMemory.has(kind)
      ? [found('wrong', 'is in memory: the store is gone after a restart', 'put the data folder on a disk')]
      : []),
    ...(kind === 'overlay'
      ? [
          found(
            'warning',
            'is the layer of a container, and gone with it',
            'mount a volume at the data folder',
          ),
        ]
      : []),
    ...(foreign.test(kind)
      ? [
          found(
            'warning',
            'belongs to another machine or program, which decides when a write is on a disk',
            'use a local disk; the store is sealed, so the host may own it',
          ),
        ]
      : []),
  ];
}
