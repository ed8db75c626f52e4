import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../src/disk/file-system.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import type { NamespaceState } from '../../../src/store/index/namespace-state.ts';
import { NamespaceTable } from '../../../src/store/index/namespace-table.ts';
import { ReadOnlyStore } from '../../../src/store/read-only-store.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import {
  contentOf,
  fileOn,
  filledDisk,
  segmentPaths,
  storeKeyOf,
  storeOptions,
} from '../../support/store-on-disk.ts';

/** Counts the turns of the event loop while something runs. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOver = true;
  return turns;
}

describe('many namespaces', () => {
  it('are sorted once, until a namespace is added or removed', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    for (let index = 20; index > 0; index -= 1) await store.namespace(`n-${index}`, { erasable: true });
    const names = store.namespaces();
    expect(store.namespaces()).toBe(names);
    const snapshot = store.snapshot();
    expect(snapshot.namespaces()).toBe(names);
    await store.namespace('another');
    expect(store.namespaces()).toHaveLength(21);
    await store.eraseNamespace('n-3');
    expect(store.namespaces()).toHaveLength(20);
    expect(snapshot.namespaces()).toEqual(names);
    await store.close();
    const reading = await ReadOnlyStore.open(disk, '/store', storeKeyOf(7));
    expect(reading.namespaces()).toBe(reading.namespaces());
    expect([reading.namespace('n-3'), reading.isErasable('n-4'), reading.isErasable('another')]).toEqual([
      undefined,
      true,
      false,
    ]);
    await reading.close();
  });
});

describe('snapshots', () => {
  it('share the table of namespaces until a namespace is added or removed, so that they cost nothing', () => {
    const table = new NamespaceTable(1);
    const first = table.freeze();
    const second = table.freeze();
    expect(second.namespaces).toBe(first.namespaces);
    // The table reads nothing else of a state.
    table.add({ id: table.takeId(), name: 'a' } as unknown as NamespaceState);
    const third = table.freeze();
    expect([first.namespaces.size, third.namespaces.size]).toEqual([0, 1]);
    expect(table.freeze().namespaces).toBe(third.namespaces);
  });

  it('each show their own moment, independent of changes and of the order of release', async () => {
    const store = await SealedStore.create(storeOptions(new SimulatedDisk(), { segmentBytes: 700 }));
    const a = await store.namespace('a');
    const b = await store.namespace('b');
    const taken: { readonly snapshot: ReturnType<SealedStore['snapshot']>; readonly seen: string }[] = [];
    const show = async (snapshot: ReturnType<SealedStore['snapshot']>): Promise<string> => {
      const lines: string[] = [];
      for (const namespace of snapshot.namespaces())
        for await (const [name, value] of snapshot.namespace(namespace).entries())
          lines.push(`${namespace}/${name}=${value[0]}`);
      return `${snapshot.namespaces().join()} ${lines.join()}`;
    };
    const take = async (seen: string): Promise<void> => {
      taken.push({ snapshot: store.snapshot(), seen });
    };
    await a.put('x', Uint8Array.of(1));
    await take('a,b a/x=1');
    await take('a,b a/x=1');
    await b.put('y', Uint8Array.of(2));
    await take('a,b a/x=1,b/y=2');
    await a.put('x', Uint8Array.of(3));
    await take('a,b a/x=3,b/y=2');
    await a.delete('x');
    await store.namespace('c');
    await take('a,b,c b/y=2');
    await store.compact();
    await b.put('y', Uint8Array.of(4));
    for (const { snapshot, seen } of taken) expect(await show(snapshot)).toBe(seen);
    for (const order of [2, 0, 3]) {
      taken[order]?.snapshot.release();
      for (const [index, { snapshot, seen }] of taken.entries()) {
        if (index === order) expect(() => snapshot.namespace('a')).toThrow(/released/);
        else if (![2, 0, 3].slice(0, [2, 0, 3].indexOf(order) + 1).includes(index))
          expect(await show(snapshot)).toBe(seen);
      }
    }
    await store.close();
  });
});

describe('a file of an impossible size', () => {
  it.each(['the last segment', 'a finished segment'])(
    '%s of 4 GiB is refused before it is read',
    async (which) => {
      const folder = mkdtempSync(join(tmpdir(), 'latchkey-sparse-'));
      try {
        const path = join(folder, 'store');
        const options = { path, storeKey: storeKeyOf(7), compaction: 'manual', segmentBytes: 500 } as const;
        const store = await SealedStore.create(options);
        const space = await store.namespace('n');
        for (let index = 0; index < 4; index += 1) await space.put(`name-${index}`, new Uint8Array(600));
        const { segments } = store.stat();
        await store.close();
        const number = which === 'the last segment' ? segments : 1;
        const file = join(path, `segment-${String(number).padStart(10, '0')}`);
        truncateSync(file, 4 * 1024 ** 3);
        let read = 0;
        const fileSystem: FileSystem = {
          ...nodeFileSystem,
          async open(name, mode, more) {
            const handle = await nodeFileSystem.open(name, mode, more);
            const readSync = handle.readSync.bind(handle);
            handle.readSync = (into, position) => {
              read += into.length;
              return readSync(into, position);
            };
            return handle;
          },
        };
        await expect(SealedStore.open({ ...options, fileSystem })).rejects.toMatchObject({
          code: 'STORE_SEGMENT_DAMAGED',
        });
        expect(read).toBeLessThan(1024 * 1024);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it('a long tail that may be a frame is scanned with pauses', async () => {
    const disk = new SimulatedDisk();
    const content = await filledDisk(disk);
    const last = segmentPaths(disk).at(-1) ?? '';
    disk.tamper(last, Buffer.concat([fileOn(disk, last), Buffer.alloc(32 * 1024 * 1024, 'LKf1')]));
    const turns = await turnsDuring(async () => {
      const store = await SealedStore.open(storeOptions(disk)).catch(() => undefined);
      if (store !== undefined) {
        expect(await contentOf(store, ['secret-space'])).toEqual(content);
        await store.close();
      }
    });
    expect(turns).toBeGreaterThan(5);
  });
});

describe('a frame of many records', () => {
  it('is replayed with pauses', async () => {
    const disk = new SimulatedDisk();
    // Without a checkpoint, which would spare the replay.
    const store = await SealedStore.create({
      ...storeOptions(disk),
      checkpointBytes: Number.POSITIVE_INFINITY,
    });
    await store.namespace('n');
    const operations = Array.from({ length: 60_000 }, (_, index) => {
      return { kind: 'put', namespace: 'n', name: String(index), value: Uint8Array.of(1) } as const;
    });
    await store.batch(operations);
    await store.close();
    let reopened: SealedStore | undefined;
    const turns = await turnsDuring(async () => {
      reopened = await SealedStore.open(storeOptions(disk));
    });
    // Opening the files takes two or three turns; sixty thousand records take slices of milliseconds.
    expect(turns).toBeGreaterThan(10);
    expect(reopened?.stat().records).toBe(60_000);
    await reopened?.close();
  });
});
