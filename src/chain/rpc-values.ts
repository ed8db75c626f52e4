import { BlockHash } from '../bytes/fixed-bytes.ts';
import { tryFromHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';

/** A header in the RPC's JSON form, as far as it is used. */
export interface HeaderJson {
  readonly parentHash: string;
  /** `0x` hex. */
  readonly number: string;
}

const malformed = (what: string): ProblemError =>
  new ProblemError('CHAIN_UNAVAILABLE', `the endpoint's answer is malformed: ${what}`);

/** Bytes of a `0x` hex answer. @throws ProblemError CHAIN_UNAVAILABLE. */
export function hexAnswer(value: unknown, what: string): Uint8Array {
  const bytes = typeof value === 'string' && value.startsWith('0x') ? tryFromHex(value) : undefined;
  if (bytes === undefined) throw malformed(`${what} is not 0x hex`);
  return bytes;
}

/** A block hash. @throws ProblemError CHAIN_UNAVAILABLE. */
export function hashAnswer(value: unknown, what: string): BlockHash {
  const bytes = hexAnswer(value, what);
  if (bytes.length !== BlockHash.byteLength) throw malformed(`${what} has ${bytes.length} bytes`);
  return BlockHash.of(bytes);
}

/** An object. @throws ProblemError CHAIN_UNAVAILABLE. */
export function objectAnswer(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} is no object`);
  // Just checked; the values stay unknown.
  return value as Record<string, unknown>;
}

/** A list. @throws ProblemError CHAIN_UNAVAILABLE. */
export function listAnswer(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(`${what} is no list`);
  return value;
}

/** Block number of a header. @throws ProblemError CHAIN_UNAVAILABLE. */
export function headerNumber(header: unknown): number {
  const { number } = objectAnswer(header, 'header');
  // Substrate's u32 block numbers, as hex without leading zeros.
  if (typeof number !== 'string' || !/^0x[0-9a-fA-F]{1,8}$/.test(number)) throw malformed('block number');
  return Number(number);
}
