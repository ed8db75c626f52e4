import { describe, expect, it } from 'vitest';
import { type DiskSpace, diskFindings } from '../../../../src/cli/doctor/disk.ts';

const MIB = 1024 * 1024;
const root = '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw';

/** Levels by check, for a folder on these mounts. */
async function levelsOf(
  lines: readonly string[],
  space: DiskSpace = { freeBytes: 5_000 * MIB },
  folder = '/srv/data',
) {
  const findings = await diskFindings(folder, {
    readText: async (path) => (path === '/proc/self/mountinfo' ? lines.join('\n') : undefined),
    realPath: async (path) => path,
    spaceAt: async () => space,
  });
  for (const { level, advice } of findings) if (level !== 'good') expect(advice).toBeTruthy();
  return findings.map(({ check, level }) => `${check} ${level}`);
}

describe('the disk of a node', () => {
  it('with room, on a local file system, is good', async () => {
    expect(await levelsOf([root])).toEqual(['disk good', 'mount good']);
  });

  it.each([
    ['good', { freeBytes: 1_024 * MIB }],
    ['warning', { freeBytes: 1_023 * MIB }],
    ['wrong', { freeBytes: 63 * MIB }],
    ['wrong', { freeBytes: 5_000 * MIB, freeInodes: 999 }],
    ['good', { freeBytes: 5_000 * MIB, freeInodes: 1_000 }],
  ] as const)('is %s with %o', async (level, space) => {
    expect(await levelsOf([root], space)).toContain(`disk ${level}`);
  });

  it.each([
    ['wrong', 'ro,relatime', 'ext4', 'rw'],
    ['wrong', 'rw', 'ext4', 'ro,errors=remount-ro'],
    ['wrong', 'rw', 'ext4', 'rw,nobarrier'],
    ['wrong', 'rw', 'ext4', 'rw,barrier=0'],
    ['wrong', 'rw', 'tmpfs', 'rw,size=1g'],
    ['warning', 'rw', 'overlay', 'rw'],
    ['warning', 'rw', 'nfs4', 'rw,vers=4.2'],
    ['warning', 'rw', 'fuse.sshfs', 'rw'],
    ['good', 'rw', 'ext4', 'rw,barrier=1,errors=remount-ro'],
    ['good', 'rw,noatime', 'xfs', 'rw'],
    ['good', 'rw', 'fuseblk-not', 'rw'],
  ])('is %s when mounted %s as %s with %s', async (level, options, kind, superOptions) => {
    const mount = `30 22 254:1 / /srv ${options} shared:1 - ${kind} /dev/vdb ${superOptions}`;
    expect(await levelsOf([root, mount])).toEqual(['disk good', `mount ${level}`]);
  });

  it('is that of the innermost mount, and of the last one of two at the same place', async () => {
    const mount = (point: string, kind: string) => `30 22 254:1 / ${point} rw - ${kind} x rw`;
    expect(await levelsOf([root, mount('/srv/data', 'ext4'), mount('/srv', 'tmpfs')])).toContain(
      'mount good',
    );
    expect(await levelsOf([root, mount('/srv', 'tmpfs'), mount('/srv', 'ext4')])).toContain('mount good');
    expect(await levelsOf([root, mount('/srv/dat', 'tmpfs')])).toContain('mount good');
    expect(await levelsOf([root, mount('/srv\\040a', 'tmpfs')], undefined, '/srv a/data')).toContain(
      'mount wrong',
    );
  });

  it('of a folder that is not there yet is that of the folder above; what cannot be read is a warning', async () => {
    const findings = await diskFindings('/srv/new/data', {
      readText: async () => undefined,
      realPath: async (path) => {
        if (path !== '/srv') throw new Error('ENOENT');
        return path;
      },
      spaceAt: async (path) => Promise.reject(new Error(`no statfs for ${path}`)),
    });
    expect(findings).toMatchObject([
      { check: 'disk', level: 'warning', text: expect.stringContaining('/srv') },
      { check: 'mount', level: 'warning' },
    ]);
  });

  it('of this machine is read', async () => {
    const findings = await diskFindings(process.cwd());
    expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(['disk', 'mount']));
    expect(findings.find(({ check }) => check === 'disk')?.text).toMatch(/^\d+ MiB free at \//);
  });
});
