import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { storageItems } from '../../src/chain/storage-keys.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import { type ChainContent, encodeContent, type RawState } from './content.ts';
import { byteVec, compact, u64, vec } from './scale.ts';

/** Root of the empty trie, which a block without extrinsics has. */
const EMPTY_TRIE_ROOT = '0x03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314';

/** A block header in the RPC's JSON form. */
export interface HeaderJson {
  readonly parentHash: string;
  /** `0x` hex without leading zeros. */
  readonly number: string;
  readonly stateRoot: string;
  readonly extrinsicsRoot: string;
  readonly digest: { readonly logs: readonly string[] };
}

/** One block with the whole state after it. */
export interface Block {
  readonly number: number;
  readonly hash: string;
  readonly header: HeaderJson;
  readonly content: ChainContent;
  readonly state: RawState;
}

const bytesOf = (hex: string): Uint8Array => {
  const bytes = tryFromHex(hex);
  if (bytes === undefined) throw new RangeError(`not hex: ${hex.slice(0, 20)}`);
  return bytes;
};

/** BLAKE2b-256 of the SCALE header, as Substrate hashes blocks. */
export function headerHash(header: HeaderJson): string {
  const encoded = concatBytes(
    bytesOf(header.parentHash),
    compact(Number(header.number)),
    bytesOf(header.stateRoot),
    bytesOf(header.extrinsicsRoot),
    vec(header.digest.logs.map(bytesOf)),
  );
  return toPrefixedHex(blake2b256(encoded));
}

/**
 * A commitment to the whole state. It is not yet the root of Substrate's trie: read proofs come with chain trust, and
 * this function is the one place to change then.
 */
function stateCommitment(state: RawState): string {
  const sorted = [...state].sort(([a], [b]) => (a < b ? -1 : 1));
  return toPrefixedHex(blake2b256(...sorted.flatMap(([key, value]) => [utf8(`${key}=`), utf8(`${value};`)])));
}

/** What distinguishes a new block from its parent. */
export interface BlockSeed {
  readonly parent: Block | undefined;
  readonly content: ChainContent;
  readonly timestampMs: number;
  /** Bytes in the digest; siblings with the same content differ by them. */
  readonly salt: Uint8Array;
}

/** Digest item `Other` (variant 0). */
const otherDigest = (bytes: Uint8Array): string =>
  toPrefixedHex(concatBytes(Uint8Array.of(0), byteVec(bytes)));

/** Builds a block on its parent; without one, the genesis block. */
export function buildBlock({ parent, content, timestampMs, salt }: BlockSeed): Block {
  const number = parent === undefined ? 0 : parent.number + 1;
  // As in Substrate: a block that replaces the code was run by the old code, and so wrote the old form.
  const state = new Map(encodeContent(content, (parent?.content ?? content).shape));
  if (!state.has(storageItems.now.prefix)) {
    state.set(storageItems.now.prefix, toPrefixedHex(u64(timestampMs)));
  }
  const header: HeaderJson = {
    parentHash: parent?.hash ?? toPrefixedHex(new Uint8Array(32)),
    number: `0x${number.toString(16)}`,
    stateRoot: stateCommitment(state),
    extrinsicsRoot: EMPTY_TRIE_ROOT,
    digest: { logs: [otherDigest(salt)] },
  };
  return { number, hash: headerHash(header), header, content, state };
}
