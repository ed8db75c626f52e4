import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { byteVec, compact, option, text, texts, u8, u32, vec } from './scale.ts';
import type { TypeId, TypeTable } from './type-registry.ts';

/** One storage item: a plain value, or a map under Blake2_128Concat when it has a key. */
export interface StorageDescription {
  readonly name: string;
  readonly value: TypeId;
  readonly key?: TypeId;
  /** SCALE of the default; an item without one is optional. */
  readonly fallback?: Uint8Array;
}

/** One pallet of the runtime. */
export interface PalletDescription {
  readonly name: string;
  readonly index: number;
  readonly storage: readonly StorageDescription[];
  readonly calls?: TypeId;
  readonly events?: TypeId;
  readonly constants?: readonly {
    readonly name: string;
    readonly type: TypeId;
    readonly value: Uint8Array;
  }[];
}

/** A runtime, ready to be encoded as metadata of either version. */
export interface RuntimeDescription {
  readonly types: TypeTable;
  readonly pallets: readonly PalletDescription[];
  readonly runtime: TypeId;
  readonly extrinsic: {
    readonly whole: TypeId;
    readonly address: TypeId;
    readonly call: TypeId;
    readonly signature: TypeId;
    readonly extra: TypeId;
  };
  readonly event: TypeId;
  readonly error: TypeId;
}

const EXTRINSIC_VERSION = 4;
/** Index of Blake2_128Concat in the enum StorageHasher. */
const BLAKE2_128_CONCAT = 2;

function storageItem(item: StorageDescription): Uint8Array {
  const type =
    item.key === undefined
      ? concatBytes(u8(0), compact(item.value))
      : concatBytes(u8(1), vec([u8(BLAKE2_128_CONCAT)]), compact(item.key), compact(item.value));
  const isOptional = item.fallback === undefined;
  // An optional item's fallback is the encoding of None.
  return concatBytes(
    text(item.name),
    u8(isOptional ? 0 : 1),
    type,
    byteVec(item.fallback ?? u8(0)),
    texts([]),
  );
}

function pallet(description: PalletDescription): Uint8Array {
  const storage = concatBytes(text(description.name), vec(description.storage.map(storageItem)));
  const constants = (description.constants ?? []).map(({ name, type, value }) =>
    concatBytes(text(name), compact(type), byteVec(value), texts([])),
  );
  const typeOption = (type: TypeId | undefined): Uint8Array =>
    option(type === undefined ? undefined : compact(type));
  return concatBytes(
    text(description.name),
    option(description.storage.length === 0 ? undefined : storage),
    typeOption(description.calls),
    typeOption(description.events),
    vec(constants),
    option(undefined),
    u8(description.index),
  );
}

/** Encodes runtime metadata, magic number and version byte included. */
export function encodeMetadata(runtime: RuntimeDescription, version: 14 | 15): Uint8Array {
  const head = concatBytes(utf8('meta'), u8(version), runtime.types.encode());
  const { extrinsic } = runtime;
  if (version === 14) {
    return concatBytes(
      head,
      vec(runtime.pallets.map(pallet)),
      compact(extrinsic.whole),
      u8(EXTRINSIC_VERSION),
      vec([]),
      compact(runtime.runtime),
    );
  }
  return concatBytes(
    head,
    vec(runtime.pallets.map((description) => concatBytes(pallet(description), texts([])))),
    u8(EXTRINSIC_VERSION),
    ...[extrinsic.address, extrinsic.call, extrinsic.signature, extrinsic.extra].map(compact),
    vec([]),
    compact(runtime.runtime),
    vec([]),
    ...[extrinsic.call, runtime.event, runtime.error].map(compact),
    vec([]),
  );
}

/** The answers of the runtime API `Metadata`, version 2. */
export function metadataApi(runtime: RuntimeDescription): {
  readonly versions: Uint8Array;
  atVersion(version: number): Uint8Array;
} {
  return {
    versions: vec([u32(14), u32(15)]),
    atVersion: (version) =>
      option(version === 14 || version === 15 ? byteVec(encodeMetadata(runtime, version)) : undefined),
  };
}
