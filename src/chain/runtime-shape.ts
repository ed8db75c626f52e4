import type { ApiPromise } from '@polkadot/api';
import { equalBytes } from '../bytes/concat.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { type StorageItem, storageItems } from './storage-keys.ts';

/** The part of @polkadot/api that knows a runtime's types. */
type Registry = ApiPromise['registry'];
type Metadata = ApiPromise['runtimeMetadata'];

/** A threshold server's record as the chain stores it, before any of it is judged. */
export interface ServerInfo {
  readonly account: Uint8Array;
  readonly x25519PublicKey: Uint8Array;
  readonly endpoint: Uint8Array;
  readonly quote: Uint8Array;
}

/** Decoders for one version of the runtime; each throws on bytes that are not exactly one canonical value. */
export interface RuntimeShape {
  /** SCALE of SupportedCvmServices::EntropyTss, the map key of the accepted measurements. */
  readonly entropyTssKey: Uint8Array;
  serverInfo(bytes: Uint8Array): ServerInfo;
  accounts(bytes: Uint8Array): readonly Uint8Array[];
  measurements(bytes: Uint8Array): readonly Uint8Array[];
  /** Milliseconds; `undefined` when this runtime has no Timestamp.Now. */
  timestampMs(bytes: Uint8Array): number | undefined;
}

/** The fields of ServerInfo that are read, with the types that they must have. Others are skipped over. */
const serverInfoFields = {
  tssAccount: 'AccountId32',
  x25519PublicKey: '[u8;32]',
  endpoint: 'Bytes',
  tdxQuote: 'Bytes',
} as const;

function shapeUnknown(item: StorageItem, expected: string, observed: string): ProblemError {
  const place = `${item.pallet}.${item.item}`;
  return new ProblemError(
    'CHAIN_SHAPE_UNKNOWN',
    `the runtime's ${place} is ${observed}, expected ${expected}`,
    {
      field: place,
      expected,
      observed,
      hint: 'The runtime was upgraded to, or is still at, a version that this release does not know.',
    },
  );
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
  registry: Registry,
  metadata: Metadata,
  item: StorageItem,
  expected: { readonly value?: string; readonly key?: string; readonly isMap: boolean },
): FoundItem {
  const found = findItem(metadata, item);
  if (found === undefined) throw shapeUnknown(item, 'a storage item hashed by Blake2_128Concat', 'absent');
  if ((found.key !== undefined) !== expected.isMap) {
    throw shapeUnknown(item, expected.isMap ? 'a map' : 'a plain value', expected.isMap ? 'plain' : 'a map');
  }
  const value = typeText(registry, found.value);
  if (expected.value !== undefined && value !== expected.value)
    throw shapeUnknown(item, expected.value, value);
  const key = found.key === undefined ? undefined : typeText(registry, found.key);
  if (expected.key !== undefined && key !== expected.key) throw shapeUnknown(item, expected.key, `${key}`);
  return found;
}

function requireServerInfo(registry: Registry, metadata: Metadata): number {
  const item = storageItems.thresholdServers;
  const { value } = requireType(registry, metadata, item, { isMap: true, key: 'AccountId32' });
  const { sub } = registry.lookup.getTypeDef(value as never);
  const fields = new Map((Array.isArray(sub) ? sub : []).map(({ name, type }) => [name, type]));
  const wrong = Object.entries(serverInfoFields).filter(([name, type]) => fields.get(name) !== type);
  if (wrong.length > 0) {
    const text = (entries: Iterable<readonly [string | undefined, string]>): string =>
      [...entries].map(([name, type]) => `${name}: ${type}`).join(', ');
    throw shapeUnknown(item, `a record with ${text(wrong)}`, `a record with ${text(fields)}`);
  }
  return value;
}

function entropyTssIndex(registry: Registry, key: number | undefined): Uint8Array {
  const { sub } = registry.lookup.getTypeDef(key as never);
  const variant = (Array.isArray(sub) ? sub : []).find(({ name }) => name === 'EntropyTss');
  if (variant?.index === undefined) {
    throw shapeUnknown(
      storageItems.acceptedMeasurementValues,
      'a map by a service EntropyTss',
      'another map',
    );
  }
  return Uint8Array.of(variant.index);
}

/** A decoded value, as far as it is used here. */
interface Decoded {
  toU8a(isBare?: boolean): Uint8Array;
}

function decode(registry: Registry, type: number, bytes: Uint8Array): Decoded {
  const value = registry.createTypeUnsafe(registry.createLookupType(type as never), [bytes]);
  // @polkadot/types ignores trailing bytes and pads some short values; encoding again shows both.
  if (!equalBytes(value.toU8a(), bytes)) throw new RangeError('not one canonical SCALE value');
  return value;
}

function decodeList(registry: Registry, type: number, bytes: Uint8Array): readonly Uint8Array[] {
  // The type was required to be Vec<…>, which @polkadot/types decodes to an array of values.
  const values = decode(registry, type, bytes) as unknown as readonly Decoded[];
  return Array.from(values, (value) => value.toU8a(true));
}

function decodeServerInfo(registry: Registry, type: number, bytes: Uint8Array): ServerInfo {
  // The type was required to be a struct with these fields, which @polkadot/types decodes to a Map.
  const fields = decode(registry, type, bytes) as unknown as ReadonlyMap<string, Decoded>;
  const field = (name: keyof typeof serverInfoFields): Uint8Array => {
    const value = fields.get(name);
    if (value === undefined) throw new RangeError(`no field ${name}`);
    // A copy, so that a record does not keep the whole answer alive.
    return new Uint8Array(value.toU8a(true));
  };
  return {
    account: field('tssAccount'),
    x25519PublicKey: field('x25519PublicKey'),
    endpoint: field('endpoint'),
    quote: field('tdxQuote'),
  };
}

function decodeTimestamp(bytes: Uint8Array): number {
  if (bytes.length !== 8) throw new RangeError('a timestamp has 8 bytes');
  return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
}

/**
 * Finds in the metadata what is read, and checks that each item has the form that this code understands: Entropy's
 * records have changed their fields twice already.
 * @throws ProblemError CHAIN_SHAPE_UNKNOWN naming the item, the form expected and the form found.
 */
export function runtimeShape(registry: Registry, metadata: Metadata): RuntimeShape {
  const plainAccounts = { isMap: false, value: 'Vec<AccountId32>' };
  const servers = requireServerInfo(registry, metadata);
  const validators = requireType(registry, metadata, storageItems.validators, plainAccounts);
  // Of the same type as the validators, so one decoder serves both.
  requireType(registry, metadata, storageItems.signers, plainAccounts);
  const measurements = requireType(registry, metadata, storageItems.acceptedMeasurementValues, {
    isMap: true,
    value: 'Vec<Bytes>',
  });
  const now = findItem(metadata, storageItems.now);
  const hasTimestamp = now !== undefined && typeText(registry, now.value) === 'u64';
  return {
    entropyTssKey: entropyTssIndex(registry, measurements.key),
    serverInfo: (bytes) => decodeServerInfo(registry, servers, bytes),
    accounts: (bytes) => decodeList(registry, validators.value, bytes),
    measurements: (bytes) => decodeList(registry, measurements.value, bytes),
    timestampMs: (bytes) => (hasTimestamp ? decodeTimestamp(bytes) : undefined),
  };
}
