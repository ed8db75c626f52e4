import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import { byteVec, compact, u8, vec } from './scale.ts';

/** A block header in the RPC's JSON form. */
export interface HeaderJson {
  readonly parentHash: string;
  /** `0x` hex without leading zeros. */
  readonly number: string;
  readonly stateRoot: string;
  readonly extrinsicsRoot: string;
  readonly digest: { readonly logs: readonly string[] };
}

const bytesOf = (hex: string): Uint8Array => {
  const bytes = tryFromHex(hex);
  if (bytes === undefined) throw new RangeError(`not hex: ${hex.slice(0, 20)}`);
  return bytes;
};

/** The SCALE header. */
export const encodeHeader = (header: HeaderJson): Uint8Array =>
  concatBytes(
    bytesOf(header.parentHash),
    compact(Number(header.number)),
    bytesOf(header.stateRoot),
    bytesOf(header.extrinsicsRoot),
    vec(header.digest.logs.map(bytesOf)),
  );

/** BLAKE2b-256 of the SCALE header, as Substrate hashes blocks. */
export const headerHash = (header: HeaderJson): string => toPrefixedHex(blake2b256(encodeHeader(header)));

/** Digest item `Other` (variant 0). */
export const otherDigest = (bytes: Uint8Array): string => toPrefixedHex(concatBytes(u8(0), byteVec(bytes)));

/** Digest item `Consensus` (variant 4): a message to the engine with that four-letter id. */
export const consensusDigest = (engineId: string, message: Uint8Array): string =>
  toPrefixedHex(concatBytes(u8(4), utf8(engineId), byteVec(message)));
