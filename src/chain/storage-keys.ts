import { concatBytes } from '../bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { blake2b128 } from '../crypto/blake2.ts';

/** Where one storage item lives: `prefix` = twox128(pallet) ‖ twox128(item), `0x` hex of 32 bytes. */
export interface StorageItem {
  readonly pallet: string;
  readonly item: string;
  readonly prefix: string;
}

/**
 * The storage items that are read. The prefixes are literal, because they follow from the two names alone; tests
 * compare them with what @polkadot/api computes.
 */
export const storageItems = {
  thresholdServers: {
    pallet: 'StakingExtension',
    item: 'ThresholdServers',
    prefix: '0xebdeae436e3f7a63d02b7bc7c9ee6fa008115f6b9e1cfdbb8d879cede7dd41df',
  },
  signers: {
    pallet: 'StakingExtension',
    item: 'Signers',
    prefix: '0xebdeae436e3f7a63d02b7bc7c9ee6fa0828a071ac2a83edfa70c7722de26157e',
  },
  validators: {
    pallet: 'Session',
    item: 'Validators',
    prefix: '0xcec5070d609dd3497f72bde07fc96ba088dcde934c658227ee1dfafcd6e16903',
  },
  acceptedMeasurementValues: {
    pallet: 'Parameters',
    item: 'AcceptedMeasurementValues',
    prefix: '0xc63bdd4a39095ccf55623a6f2872bf8a14252acfdfb8bc0a538add2626525346',
  },
  lastRuntimeUpgrade: {
    pallet: 'System',
    item: 'LastRuntimeUpgrade',
    prefix: '0x26aa394eea5630e07c48ae0c9558cef7f9cce9c888469bb1a0dceaa129672ef8',
  },
  now: {
    pallet: 'Timestamp',
    item: 'Now',
    prefix: '0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb',
  },
} as const satisfies Record<string, StorageItem>;

const PREFIX_HEX_CHARACTERS = 2 + 64;
const HASH_BYTES = 16;

/** Key of one map entry under the hasher Blake2_128Concat: prefix ‖ BLAKE2b-128(key) ‖ key, as `0x` hex. */
export function mapKey(item: StorageItem, key: Uint8Array): string {
  return item.prefix + toPrefixedHex(concatBytes(blake2b128(key), key)).slice(2);
}

/**
 * The map key inside a storage key made by {@link mapKey}.
 * @returns `undefined` when the storage key is of another item, has another length, or its hash does not match.
 */
export function keyOfMapKey(
  item: StorageItem,
  storageKey: string,
  byteLength: number,
): Uint8Array | undefined {
  if (!storageKey.startsWith(item.prefix)) return undefined;
  const bytes = tryFromHex(storageKey.slice(PREFIX_HEX_CHARACTERS));
  if (bytes?.length !== HASH_BYTES + byteLength) return undefined;
  const key = bytes.subarray(HASH_BYTES);
  return mapKey(item, key) === storageKey ? key : undefined;
}
