import { concatBytes } from '../bytes/concat.ts';
import { BlockHash } from '../bytes/fixed-bytes.ts';
import { blake2b256 } from '../crypto/blake2.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { hashAnswer, headerNumber, hexAnswer, listAnswer, objectAnswer } from './rpc-values.ts';

/** Of all digest logs together; those of an era's change, with a thousand authorities, have 80 kB. */
const MAX_DIGEST_BYTES = 1024 * 1024;
const MAX_DIGEST_LOGS = 1000;

/** SCALE compact integer below 2^32: block numbers and counts. */
export function compactU32(value: number): Uint8Array {
  const shifted = BigInt(value) << 2n;
  const [mode, byteLength] = value < 2 ** 6 ? [0n, 1] : value < 2 ** 14 ? [1n, 2] : [2n, 4];
  if (value >= 2 ** 30) return Uint8Array.of(3, ...littleEndian(BigInt(value), 4));
  return littleEndian(shifted | mode, byteLength);
}

const littleEndian = (value: bigint, byteLength: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));

const tooLarge = (what: string): ProblemError =>
  new ProblemError('CHAIN_UNAVAILABLE', `the endpoint's answer is malformed: ${what}`);

/**
 * Hash of a header in the RPC's JSON form: BLAKE2b-256 of its SCALE encoding, as Substrate hashes blocks. The digest's
 * logs come SCALE-encoded, so nothing of the runtime's types is needed.
 * @throws ProblemError CHAIN_UNAVAILABLE when it is no header.
 */
export function headerHash(header: unknown): BlockHash {
  const { parentHash, stateRoot, extrinsicsRoot, digest } = objectAnswer(header, 'header');
  const logs = listAnswer(objectAnswer(digest, 'digest')['logs'], 'digest logs');
  if (logs.length > MAX_DIGEST_LOGS) throw tooLarge(`more than ${MAX_DIGEST_LOGS} digest logs`);
  const items = logs.map((log) => hexAnswer(log, 'digest log'));
  const bytes = items.reduce((sum, { length }) => sum + length, 0);
  if (bytes > MAX_DIGEST_BYTES) throw tooLarge(`a digest above ${MAX_DIGEST_BYTES} bytes`);
  const encoded = concatBytes(
    hashAnswer(parentHash, 'parentHash'),
    compactU32(headerNumber(header)),
    hashAnswer(stateRoot, 'stateRoot'),
    hashAnswer(extrinsicsRoot, 'extrinsicsRoot'),
    compactU32(items.length),
    ...items,
  );
  return BlockHash.of(blake2b256(encoded));
}
