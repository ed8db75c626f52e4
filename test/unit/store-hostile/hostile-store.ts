import { utf8 } from '../../../src/bytes/concat.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { type Contents, contentsOf } from '../../simulation/store-model.ts';
import { type DormantStore, SimulatedStore, type StoreOptions } from '../../support/disk-store.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';

/** Names and values that must be nowhere in the clear. */
export const secrets = {
  names: ['the-name-of-a-record', 'another-name-to-hide', 'кодове-име'],
  values: ['a value that nobody may read', 'the second value, longer than the first one is'],
  namespaces: ['namespace-of-fragments', 'erasable-namespace'],
} as const;

/** A store with two namespaces over several segments, what it held after every change, and its disk. */
export interface VictimStore {
  readonly simulated: DormantStore;
  readonly contents: Contents;
  /** Contents after each acknowledged change, oldest first. */
  readonly history: readonly Contents[];
}

/** Builds a store for the attacks of the tests: cleanly closed (`closed`), or as a power cut leaves it. */
export async function victim(
  closed: 'closed' | 'cut',
  options: Pick<StoreOptions, 'segmentBytes' | 'checkpointBytes' | 'compaction'> = {},
  seed = 1,
): Promise<VictimStore> {
  const simulated = await SimulatedStore.create({ segmentBytes: 1024, ...options }, seed);
  const { store } = simulated;
  const history: Contents[] = [await contentsOf(store)];
  const plain = await store.namespace(secrets.namespaces[0]);
  const erasable = await store.namespace(secrets.namespaces[1], { erasable: true });
  for (const [turn, value] of secrets.values.entries()) {
    for (const name of secrets.names) {
      await plain.put(name, utf8(`${value} ${turn}`));
      history.push(await contentsOf(store));
      await erasable.put(name, utf8(`${value} ${turn} erasable`));
      history.push(await contentsOf(store));
    }
  }
  // Background work that came after the last write would show that it was durable.
  await store.settled();
  await plain.delete(secrets.names[0]);
  const contents = await contentsOf(store);
  history.push(contents);
  if (closed === 'closed') await store.close();
  return { simulated: simulated.leftBy('lost', seed), contents, history };
}

/** The result of opening a tampered disk. */
export type Outcome =
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'opened'; readonly contents: Contents };

/** Opens and reads everything. Anything but an error of ours, or contents, is thrown on. */
export async function openTampered(victimStore: VictimStore, disk: SimulatedDisk): Promise<Outcome> {
  const before = snapshot(disk);
  try {
    const { store } = await victimStore.simulated.on(disk).reopen();
    const contents = await contentsOf(store);
    await store.close();
    return { kind: 'opened', contents };
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw new Error('an untyped error', { cause: error });
    if (snapshot(disk) !== before) throw new Error(`refused with ${error.code}, but changed the store`);
    return { kind: 'refused', code: error.code };
  }
}

const snapshot = (disk: SimulatedDisk): string =>
  [...disk.files()]
    .map(([path, bytes]) => `${path} ${toHex(bytes)}`)
    .sort()
    .join('\n');
