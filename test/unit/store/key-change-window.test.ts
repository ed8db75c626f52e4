import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { FileSystem } from '../../../src/disk/file-system.ts';
import { createNodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { RecordKeys } from '../../../src/store/keys/store-keys.ts';
import { readStore } from '../../../src/store/open/recovery.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { sourceOf } from '../../../src/store/store-options.ts';
import { systemError } from '../../support/disk-errors.ts';
import { createStore, openStore } from '../../support/disk-store.ts';
import { containing } from '../../support/head-judge.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeKeyOf, storeOptions } from '../../support/store-on-disk.ts';

const key = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const codeOf = (error: { readonly code: string }) => error.code;

/** The real file system, on which one writing of the manifest waits and then finds a full disk. */
function stoppedDisk() {
  const real = createNodeFileSystem(64);
  let gate: Promise<void> | undefined;
  let arrived = (): void => undefined;
  const disk: FileSystem = {
    ...real,
    async open(file, mode, options) {
      if (gate === undefined || mode !== 'create' || !file.endsWith('MANIFEST.new'))
        return real.open(file, mode, options);
      const waiting = gate;
      arrived();
      await waiting;
      gate = undefined;
      throw systemError('ENOSPC', 'open', file);
    },
  };
  /** From now on the next manifest waits. */
  const stop = () => {
    let release = (): void => undefined;
    const isWaiting = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    gate = new Promise((resolve) => {
      release = resolve;
    });
    return { isWaiting, release };
  };
  return { disk, stop };
}

describe('a change of the store key that a full disk refuses at the manifest', () => {
  it('loses no record that is compacted at the same time', async () => {
    const path = `${mkdtempSync(`${tmpdir()}/latchkey-`)}/store`;
    const { disk, stop } = stoppedDisk();
    const store = await createStore(disk, path, key(1), { segmentBytes: 4096 });
    const plain = await store.namespace('plain');
    const secret = await store.namespace('secret', { erasable: true });
    for (let at = 0; at < 20; at += 1) {
      await plain.put(`p${at}`, new Uint8Array(400).fill(at));
      if (at < 6) await secret.put(`s${at}`, new Uint8Array(400).fill(at));
    }
    await store.settled();
    await store.eraseNamespace('secret');
    const { isWaiting, release } = stop();
    const rotation = store.rotateStoreKey(key(2)).catch(codeOf);
    await isWaiting;
    const files = readdirSync(path).length;
    // The sweep of the erased namespace makes its segments now, and waits to hand them over.
    const compacted = store.settled();
    await vi.waitFor(() => expect(readdirSync(path).length).toBeGreaterThan(files), 30_000);
    release();
    expect(await rotation).toBe('STORE_DISK_FULL');
    await compacted;
    const values = await Promise.all(Array.from({ length: 20 }, (_, at) => plain.get(`p${at}`)));
    expect(values.map((value) => value?.[0])).toEqual(Array.from({ length: 20 }, (_, at) => at));
    await store.close();
    const again = await openStore(disk, path, key(1));
    expect((await again.namespace('plain')).size).toBe(20);
    await again.close();
  });

  it('leaves backups and heads that are taken meanwhile usable with the old key', async () => {
    const root = mkdtempSync(`${tmpdir()}/latchkey-`);
    const { disk, stop } = stoppedDisk();
    const store = await createStore(disk, `${root}/store`, key(1), { compaction: 'manual' });
    await (await store.namespace('n')).put('a', Uint8Array.of(1));
    const { isWaiting, release } = stop();
    const rotation = store.rotateStoreKey(key(2)).catch(codeOf);
    await isWaiting;
    const head = store.head();
    const chunks: Uint8Array[] = [];
    await store.backup(async (bytes) => void chunks.push(new Uint8Array(bytes)));
    release();
    expect(await rotation).toBe('STORE_DISK_FULL');
    await store.close();
    const source = (async function* () {
      yield* chunks;
    })();
    await SealedStore.restore({ path: `${root}/restored`, storeKey: key(1), source });
    const again = await openStore(disk, `${root}/store`, key(1), { admit: containing(head) });
    await again.close();
  });
});

it('a manifest never lists a segment whose keys it does not have', async () => {
  const options = storeOptions(new SimulatedDisk());
  await (await SealedStore.create(options)).close();
  const source = { ...sourceOf(options, 'read-write'), storeKey: storeKeyOf(7) };
  const { state } = await readStore(source, undefined);
  const keys = RecordKeys.of(state.keys.current.version, key(9));
  const start = { kind: 'compacted', firstOrdinal: 0, previous: new Uint8Array(32) } as const;
  const stray = await state.log.create(start, keys);
  expect(() => state.manifest([...state.log.segments, stray])).toThrow(TypeError);
  await state.close();
});
