import { utf8 } from '../../src/bytes/concat.ts';
import { sha256 } from '../../src/crypto/sha2.ts';

/** How many writers put at the same time. */
export const WRITERS = 8;
/** Records of one round, over all writers. */
export const ROUND_RECORDS = 1000;
/** Records of one atomic batch; each writer makes one per round. */
export const BATCH_RECORDS = 10;

/** What the parent tells the child, as one line of JSON on stdin. */
export interface CrashOrder {
  readonly path: string;
  /** File that takes one line per acknowledgement. */
  readonly acknowledgements: string;
  /** 64 hex digits. */
  readonly key: string;
  /** Makes the names of this run different from those of others. */
  readonly run: number;
}

export const singleName = (run: number, round: number, writer: number, index: number): string =>
  `single/${run}/${round}/${writer}/${index}`;

export const batchNames = (run: number, round: number, writer: number): string[] =>
  Array.from({ length: BATCH_RECORDS }, (_, index) => `batch/${run}/${round}/${writer}/${index}`);

export const counterName = (run: number, writer: number): string => `counter/${run}/${writer}`;

/** The one right value of a name: 0 to 991 bytes that follow from it. */
export function expectedValue(name: string): Uint8Array {
  const digest = sha256(utf8(name));
  const length = (digest[0] ?? 0) % 32;
  const value = new Uint8Array(length * 32);
  for (let at = 0; at < length; at++) value.set(sha256(digest, Uint8Array.of(at)), at * 32);
  return value.subarray(0, Math.max(0, value.length - ((digest[1] ?? 0) % 32)));
}
