import {
  type Layout,
  type RuntimeLayout,
  type ServerInfoField,
  serverInfoFields,
} from '../runtime-layout.ts';
import { type StorageItem, storageItems } from '../storage-keys.ts';
import type { LoadedMetadata, Metadata, Registry } from './load-metadata.ts';
import { LayoutWriter, NoLayoutError } from './skip-layout.ts';

/** The metadata gives a storage item another form than the one that can be read. */
export class ShapeError extends Error {
  readonly item: string;
  readonly expected: string;
  readonly observed: string;

  constructor({ pallet, item }: StorageItem, expected: string, observed: string) {
    super(`${pallet}.${item}`);
    this.item = `${pallet}.${item}`;
    this.expected = expected;
    this.observed = observed;
  }
}

/** A storage item in the metadata: the type of its value and, for maps, of its key. */
interface FoundItem {
  readonly value: number;
  readonly key: number | undefined;
}

function findItem(metadata: Metadata, item: StorageItem): FoundItem | undefined {
  const pallet = metadata.asLatest.pallets.find(({ name }) => name.toString() === item.pallet);
  const storage = pallet?.storage.unwrapOr(undefined);
  const entry = storage?.items.find(({ name }) => name.toString() === item.item);
  if (storage === undefined || entry === undefined) return undefined;
  // The prefix is derived from this name and the item's; another one would move the storage.
  if (storage.prefix.toString() !== item.pallet) return undefined;
  if (entry.type.isPlain) return { value: entry.type.asPlain.toNumber(), key: undefined };
  const { hashers, key, value } = entry.type.asMap;
  const isKnownHasher = hashers.length === 1 && hashers[0]?.isBlake2128Concat === true;
  return isKnownHasher ? { value: value.toNumber(), key: key.toNumber() } : undefined;
}

const typeText = (registry: Registry, id: number): string =>
  // Lookup ids are branded numbers inside @polkadot/types; the brand has no constructor to call.
  registry.lookup.getTypeDef(id as never).type;

function requireType(
  { registry, metadata }: LoadedMetadata,
  item: StorageItem,
  expected: { readonly value?: string; readonly key?: string; readonly isMap: boolean },
): FoundItem {
  const found = findItem(metadata, item);
  if (found === undefined) throw new ShapeError(item, 'a storage item hashed by Blake2_128Concat', 'absent');
  if ((found.key !== undefined) !== expected.isMap) {
    throw new ShapeError(
      item,
      expected.isMap ? 'a map' : 'a plain value',
      expected.isMap ? 'plain' : 'a map',
    );
  }
  if (expected.value !== undefined) {
    const value = typeText(registry, found.value);
    if (value !== expected.value) throw new ShapeError(item, expected.value, value);
  }
  const key = found.key === undefined ? undefined : typeText(registry, found.key);
  if (expected.key !== undefined && key !== expected.key) throw new ShapeError(item, expected.key, `${key}`);
  return found;
}

const isRead = (name: string | undefined): name is ServerInfoField =>
  name !== undefined && Object.hasOwn(serverInfoFields, name);

function serverInfoLayout(loaded: LoadedMetadata): RuntimeLayout['serverInfo'] {
  const item = storageItems.thresholdServers;
  const { registry } = loaded;
  const { value } = requireType(loaded, item, { isMap: true, key: 'AccountId32' });
  const { sub } = registry.lookup.getTypeDef(value as never);
  const fields = (Array.isArray(sub) ? sub : []).map(({ name, type }) => ({ name, type }));
  const wrong = Object.entries(serverInfoFields).filter(
    ([wanted, type]) =>
      fields.filter(({ name }) => name === wanted).length !== 1 ||
      fields.find(({ name }) => name === wanted)?.type !== type,
  );
  if (wrong.length > 0) {
    const expected = wrong.map(([name, type]) => `${name}: ${type}`).join(', ');
    const observed = fields.map(({ name, type }) => `${name}: ${type}`).join(', ');
    throw new ShapeError(item, `a record with ${expected}`, `a record with ${observed}`);
  }
  const { def } = registry.lookup.getSiType(value as never);
  const writer = new LayoutWriter(registry);
  const layouts: (ServerInfoField | Layout | undefined)[] = def.asComposite.fields.map(({ type }, index) => {
    const name = fields[index]?.name;
    if (isRead(name)) return name;
    try {
      return writer.layoutOf(type);
    } catch (error) {
      if (!(error instanceof NoLayoutError)) throw error;
      throw new ShapeError(item, 'fields that can be stepped over', `${name}: ${error.message}`);
    }
  });
  return layouts.filter((layout) => layout !== undefined);
}

function entropyTssIndex(registry: Registry, key: number | undefined): number {
  const { sub } = registry.lookup.getTypeDef(key as never);
  const variant = (Array.isArray(sub) ? sub : []).find(({ name }) => name === 'EntropyTss');
  if (variant?.index === undefined) {
    const item = storageItems.acceptedMeasurementValues;
    throw new ShapeError(item, 'a map by a service EntropyTss', 'another map');
  }
  return variant.index;
}

/**
 * Finds in the metadata what is read, and checks that each item has the form that the reader understands: Entropy's
 * records have changed their fields twice already.
 * @throws ShapeError naming the item, the form expected and the form found; or whatever the library throws.
 */
export function layoutOfMetadata(loaded: LoadedMetadata): RuntimeLayout {
  const { registry, metadata } = loaded;
  const accounts = { isMap: false, value: 'Vec<AccountId32>' };
  const serverInfo = serverInfoLayout(loaded);
  requireType(loaded, storageItems.validators, accounts);
  requireType(loaded, storageItems.signers, accounts);
  const measurements = requireType(loaded, storageItems.acceptedMeasurementValues, {
    isMap: true,
    value: 'Vec<Bytes>',
  });
  const now = findItem(metadata, storageItems.now);
  return {
    serverInfo,
    entropyTssIndex: entropyTssIndex(registry, measurements.key),
    hasTimestamp: now !== undefined && typeText(registry, now.value) === 'u64',
  };
}
