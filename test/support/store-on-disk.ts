import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import type { CreateOptions } from '../../src/store/store-options.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** Folder of the store on a simulated disk. */
export const STORE_PATH = '/store';

/** A store key of equal bytes. */
export const storeKeyOf = (byte: number): SecretBytes => new SecretBytes(new Uint8Array(32).fill(byte));

/** Options of a small store on a simulated disk that compacts only when asked; its files end with the last record. */
export const storeOptions = (
  fileSystem: SimulatedDisk,
  more: Partial<CreateOptions> = {},
): CreateOptions => ({
  fileSystem,
  path: STORE_PATH,
  storeKey: storeKeyOf(7),
  compaction: 'manual',
  roomBytes: 0,
  ...more,
});

/** Paths of the segment files, oldest first. */
export const segmentPaths = (disk: SimulatedDisk): string[] =>
  [...disk.files().keys()].filter((path) => path.startsWith(`${STORE_PATH}/segment-`)).sort();

/** The bytes of a file of the disk; throws when it is not there. */
export function fileOn(disk: SimulatedDisk, path: string): Uint8Array {
  const bytes = disk.files().get(path);
  if (bytes === undefined) throw new Error(`no file ${path}`);
  return bytes;
}

/** Everything that is in a store: `namespace/name` to the value in hex. */
export async function contentOf(
  store: SealedStore,
  erasable: readonly string[] = [],
): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const name of store.namespaces()) {
    const space = await store.namespace(name, { erasable: erasable.includes(name) });
    for await (const [record, value] of space.entries())
      content.set(`${name}/${record}`, Buffer.from(value).toString('hex'));
  }
  return content;
}

/** A closed store with two namespaces, one of them erasable, several segments, overwritten and deleted names. */
export async function filledDisk(
  disk: SimulatedDisk,
  more: Partial<CreateOptions> = {},
): Promise<Map<string, string>> {
  const store = await SealedStore.create(storeOptions(disk, { segmentBytes: 1500, ...more }));
  const plain = await store.namespace('plain-space');
  const secret = await store.namespace('secret-space', { erasable: true });
  for (let turn = 0; turn < 8; turn += 1) {
    await plain.put(`first-${turn}`, new Uint8Array(40).fill(turn + 1));
    await secret.put(`second-${turn}`, new Uint8Array(40).fill(turn + 101));
  }
  await plain.delete('first-3');
  await plain.put('first-4', new Uint8Array(10).fill(0x44));
  const content = await contentOf(store, ['secret-space']);
  await store.close();
  return content;
}
