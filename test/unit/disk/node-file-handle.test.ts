import {
  closeSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DescriptorPool } from '../../../src/disk/descriptor-pool.ts';
import { openRegular } from '../../../src/disk/descriptors.ts';
import { NodeFileHandle } from '../../../src/disk/node-file-handle.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { storeKeyOf } from '../../support/store-on-disk.ts';

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'latchkey-handle-'));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

/** O_DSYNC of Linux, as `/proc/self/fdinfo` shows flags. */
const O_DSYNC = 0o10000;

/** Flags of every descriptor of this process that has the file open. */
function flagsOf(path: string): number[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      if (readlinkSync(`/proc/self/fd/${descriptor}`) !== path) return [];
      const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
      return [Number.parseInt(/flags:\s*(\d+)/.exec(info)?.[1] ?? '0', 8)];
    } catch {
      // The descriptor of this listing itself is gone by now.
      return [];
    }
  });
}

describe('a file of the operating system', () => {
  it('writes all parts durably and in sequence from the position', async () => {
    const path = join(folder(), 'file');
    const handle = await nodeFileSystem.open(path, 'create', { durableWrites: true });
    await handle.writeDurable?.([Buffer.from('one')], 0);
    await handle.writeDurable?.([Buffer.from('two'), new Uint8Array(0), new Uint8Array(70_000)], 3);
    await handle.writeDurable?.([Buffer.from('three')], 6);
    const whole = readFileSync(path);
    expect([whole.length, whole.subarray(0, 12).toString('latin1')]).toEqual([70_006, 'onetwothree\0']);
    expect(flagsOf(path).filter((flags) => (flags & O_DSYNC) !== 0)).toHaveLength(1);
    await handle.close();
    expect(flagsOf(path)).toEqual([]);
  });

  it('has one durable descriptor for all writes', async () => {
    const path = join(folder(), 'file');
    const handle = await nodeFileSystem.open(path, 'create', { durableWrites: true });
    await Promise.all([0, 1, 2, 3].map((at) => handle.writeDurable?.([Uint8Array.of(at + 1)], at)));
    expect([...readFileSync(path)]).toEqual([1, 2, 3, 4]);
    expect(flagsOf(path)).toHaveLength(2);
    await handle.close();
  });

  it('works for a store with preallocated bytes, which are removed when it closes', async () => {
    const path = join(folder(), 'store');
    const segment = join(path, 'segment-0000000001');
    const store = await SealedStore.create({ path, storeKey: storeKeyOf(7) });
    const space = await store.namespace('space');
    await space.put('a', new Uint8Array(40).fill(9));
    const open = readFileSync(segment);
    const used = open.findLastIndex((byte) => byte !== 0) + 1;
    expect([used > 128, open.length - used > 60_000, open.length]).toEqual([
      true,
      true,
      store.stat().diskBytes,
    ]);
    await store.close();
    expect(readFileSync(segment)).toEqual(open.subarray(0, used));
  });
});

it('a descriptor whose close reports an error is given back, and the file is opened again when it is read', async () => {
  const path = join(folder(), 'file');
  writeFileSync(path, 'text');
  const { descriptor, identity } = await openRegular(path, constants.O_RDONLY);
  const handle = new NodeFileHandle({ path, identity, descriptor }, new DescriptorPool(8));
  // From now on closing it is an error.
  closeSync(descriptor);
  handle.evict();
  const bytes = new Uint8Array(4);
  expect(handle.readSync(bytes, 0)).toBe(4);
  expect(Buffer.from(bytes).toString()).toBe('text');
  await handle.close();
});
