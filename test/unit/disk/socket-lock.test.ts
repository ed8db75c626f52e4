import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { takeSocketLock } from '../../../src/disk/socket-lock.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-lock-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function mustTake(path = folder) {
  const lock = await takeSocketLock(path);
  if ('owner' in lock) throw new Error(`taken by ${lock.owner}`);
  return lock;
}

const taken = (path = folder) => takeSocketLock(path).then((lock) => 'owner' in lock);

/** A process that takes the folder and is killed. */
async function takeAndDie(): Promise<void> {
  const module = fileURLToPath(new URL('../../../src/disk/socket-lock.ts', import.meta.url));
  const program = `import { takeSocketLock } from ${JSON.stringify(module)};
    const lock = await takeSocketLock(${JSON.stringify(folder)});
    process.stdout.write('owner' in lock ? 'failed' : 'taken');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [said] = await once(child.stdout, 'data');
  expect(String(said)).toBe('taken');
  expect(await taken()).toBe(true);
  child.kill('SIGKILL');
  await exited;
}

describe('the lock that reaches through network namespaces', () => {
  it('has one owner, and leaves no file behind when it is released', async () => {
    const lock = await mustTake();
    expect(await taken()).toBe(true);
    expect(readdirSync(folder)).toEqual(['LOCK', 'LOCK.1']);
    await lock.release();
    expect(readdirSync(folder)).toEqual([]);
    await (await mustTake()).release();
  });

  it('is free when its owner was killed', async () => {
    await takeAndDie();
    expect(readdirSync(folder)).toEqual(['LOCK', 'LOCK.1']);
    const lock = await mustTake();
    expect(readdirSync(folder)).toEqual(['LOCK', 'LOCK.2']);
    expect(await taken()).toBe(true);
    await lock.release();
    expect(readdirSync(folder)).toEqual([]);
  }, 30_000);

  it('is given to one of many concurrent callers, also after a lock was left behind', async () => {
    for (const leftBehind of [false, true]) {
      if (leftBehind) await takeAndDie();
      const locks = await Promise.all(Array.from({ length: 30 }, () => takeSocketLock(folder)));
      const owners = locks.flatMap((lock) => ('owner' in lock ? [] : [lock]));
      expect(owners).toHaveLength(1);
      for (const lock of owners) await lock.release();
      expect(readdirSync(folder)).toEqual([]);
    }
  }, 30_000);

  it('works for folders with long paths', async () => {
    const deep = join(folder, 'a'.repeat(100), 'b'.repeat(100));
    mkdirSync(deep, { recursive: true });
    const lock = await mustTake(deep);
    expect(await taken(deep)).toBe(true);
    await lock.release();
  });

  it('keeps a store from being opened twice', async () => {
    const options = { path: join(folder, 'store'), storeKey: new SecretBytes(new Uint8Array(32).fill(7)) };
    await (await SealedStore.create(options)).close();
    const elsewhere = await mustTake(options.path);
    await expect(SealedStore.open(options)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await expect(SealedStore.create(options)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    await elsewhere.release();
    const store = await SealedStore.open(options);
    expect(await taken(options.path)).toBe(true);
    await store.close();
  });
});
