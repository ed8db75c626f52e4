import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeSocketLock } from '../../../src/disk/socket-lock.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { storeKeyOf } from '../../support/store-on-disk.ts';

let folder: string;
const mounts: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-locks-'));
});
afterEach(() => {
  for (const mount of mounts.splice(0)) execFileSync('umount', [mount]);
  rmSync(folder, { recursive: true, force: true });
});

/** Mounts a small file system in memory; false where this user may not. */
function mountMemory(at: string, options: string): boolean {
  mkdirSync(at);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { stdio: 'ignore' });
    mounts.push(at);
    return true;
  } catch {
    return false;
  }
}

const canMount = (() => {
  const probe = mkdtempSync(join(tmpdir(), 'latchkey-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
})();

const isRoot = process.getuid?.() === 0;

describe('when the lock cannot be created', () => {
  it.skipIf(!canMount)('for lack of inodes, no store is opened and the error gives advice', async () => {
    const mount = join(folder, 'mount');
    expect(mountMemory(mount, 'nr_inodes=12,size=16m')).toBe(true);
    const options = { path: join(mount, 'store'), storeKey: storeKeyOf(7) };
    await (await SealedStore.create(options)).close();
    const fillers: string[] = [];
    try {
      for (let index = 0; ; index++) {
        const name = join(mount, `filler-${index}`);
        writeFileSync(name, '');
        fillers.push(name);
      }
    } catch {
      // No inode is left.
    }
    await expect(SealedStore.open(options)).rejects.toMatchObject({
      code: 'STORE_LOCK_UNAVAILABLE',
      observed: 'ENOSPC',
      hint: expect.stringContaining('inodes') as string,
    });
    for (const name of fillers) rmSync(name);
    await (await SealedStore.open(options)).close();
  });

  it.skipIf(!canMount)(
    'on a read-only file system, a check works and an opening reports the cause',
    async () => {
      const mount = join(folder, 'mount');
      expect(mountMemory(mount, 'size=16m')).toBe(true);
      const options = { path: join(mount, 'store'), storeKey: storeKeyOf(7) };
      await (await SealedStore.create(options)).close();
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      expect(await SealedStore.check(options)).toMatchObject({ isSound: true });
      await expect(SealedStore.open(options)).rejects.toMatchObject({ code: 'STORE_DISK_READ_ONLY' });
    },
  );

  it('after a planted lock with the highest possible number, no store is opened', async () => {
    writeFileSync(join(folder, 'LOCK.999999999999999'), '');
    await expect(takeSocketLock(folder)).rejects.toMatchObject({ code: 'STORE_LOCK_UNAVAILABLE' });
  });

  it('a planted lock with a high number does not hide the next lock', async () => {
    writeFileSync(join(folder, 'LOCK.999999999'), '');
    const lock = await takeSocketLock(folder);
    expect('owner' in lock).toBe(false);
    expect(await takeSocketLock(folder)).toEqual({ owner: `process ${process.pid}` });
    if (!('owner' in lock)) await lock.release();
  });
});

/** A process that takes the folder and is killed; runs as the given user. */
async function takeAndDie(user?: number): Promise<void> {
  const module = fileURLToPath(new URL('../../../src/disk/socket-lock.ts', import.meta.url));
  const program = `import { takeSocketLock } from ${JSON.stringify(module)};
    const lock = await takeSocketLock(${JSON.stringify(folder)});
    process.stdout.write('owner' in lock ? 'refused ' + lock.owner : 'taken');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  const exited = once(child, 'exit');
  const [said] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await exited;
  expect(String(said)).toBe('taken');
}

describe('a lock that a killed process left', () => {
  it('can be checked by every user with access to the folder', async () => {
    const lock = await takeSocketLock(folder);
    const socket = readdirSync(folder).find((name) => name.startsWith('LOCK.')) ?? '';
    expect(statSync(join(folder, socket)).mode & 0o777).toBe(0o666);
    if (!('owner' in lock)) await lock.release();
  });

  it.skipIf(!isRoot)('of root does not prevent another user from opening', { timeout: 120_000 }, async () => {
    await takeAndDie();
    expect(existsSync(join(folder, 'LOCK.1'))).toBe(true);
    const user = 65_534;
    chmodSync(folder, 0o700);
    chownSync(folder, user, user);
    await takeAndDie(user);
    expect(readdirSync(folder).sort()).toEqual(['LOCK', 'LOCK.2']);
  });
});

describe('the note of the owner', () => {
  it('is never written through a link, and a link is never read', async () => {
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, 'process 12345\n');
    symlinkSync(elsewhere, join(folder, 'LOCK'));
    const lock = await takeSocketLock(folder);
    expect(readFileSync(elsewhere, 'utf8')).toBe('process 12345\n');
    expect(readFileSync(join(folder, 'LOCK'), 'utf8')).toBe(`process ${process.pid}\n`);
    rmSync(join(folder, 'LOCK'));
    symlinkSync(elsewhere, join(folder, 'LOCK'));
    expect(await takeSocketLock(folder)).toEqual({ owner: 'another process' });
    rmSync(join(folder, 'LOCK'));
    execFileSync('mkfifo', [join(folder, 'LOCK')]);
    expect(await takeSocketLock(folder)).toEqual({ owner: 'another process' });
    if (!('owner' in lock)) await lock.release();
  });
});
