import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { Block } from './block.ts';
import { SPEC_NAME } from './block-state.ts';
import { encodeMetadata, metadataApi } from './metadata-encoding.ts';
import { describeRuntime, type RuntimeShape } from './runtime.ts';

/** Metadata of one runtime shape, `0x` hex. */
export interface RuntimeMetadata {
  /** Version 14, the answer of state_getMetadata. */
  readonly legacy: string;
  /** Answers of the runtime API: list of versions, and `Option<OpaqueMetadata>` by version. */
  readonly versions: string;
  atVersion(version: number): string;
}

const cache = new Map<RuntimeShape, RuntimeMetadata>();

/** Composes the metadata of a shape once. */
export function runtimeMetadata(shape: RuntimeShape): RuntimeMetadata {
  const known = cache.get(shape);
  if (known !== undefined) return known;
  const runtime = describeRuntime(shape);
  const api = metadataApi(runtime);
  const made: RuntimeMetadata = {
    legacy: toPrefixedHex(encodeMetadata(runtime, 14)),
    versions: toPrefixedHex(api.versions),
    atVersion: (version) => toPrefixedHex(api.atVersion(version)),
  };
  cache.set(shape, made);
  return made;
}

/** The answer of state_getRuntimeVersion: the version of the code after a block. */
export function runtimeVersion({ content: { specVersion }, trie }: Block): object {
  return {
    specName: SPEC_NAME,
    implName: 'latchkey-development-chain',
    authoringVersion: 1,
    specVersion,
    implVersion: 0,
    // Runtime APIs by the BLAKE2b-64 of their names: `Metadata` in version 2, `GrandpaApi` in version 3.
    apis: [
      ['0x37e397fc7c91f5e4', 2],
      ['0xed99c5acb25eedf5', 3],
    ],
    transactionVersion: 1,
    stateVersion: trie.version,
  };
}
