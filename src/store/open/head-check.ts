import { equalBytes } from '../../bytes/concat.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { LogHead } from '../api/log-head.ts';

/** Least bytes of the digest of a deposited head: fewer would match by chance. */
const MIN_DIGEST_BYTES = 8;
const DIGEST_BYTES = 32;

/** @throws RangeError when a head cannot be one, which would let any log pass. */
export function checkHead({ generation, sequence, digest }: LogHead): void {
  for (const [name, value] of Object.entries({ generation, sequence }))
    if (!(Number.isSafeInteger(value) && value >= 0))
      throw new RangeError(`the ${name} of a head must be a whole number from 0, got ${String(value)}`);
  if (!(digest.length >= MIN_DIGEST_BYTES && digest.length <= DIGEST_BYTES))
    throw new RangeError(
      `the digest of a head must be ${MIN_DIGEST_BYTES} to ${DIGEST_BYTES} bytes, got ${digest.length}`,
    );
}

/** Compares a log, as it is read, with a head that was deposited before: the log must contain it. */
export class HeadCheck {
  readonly #expected: LogHead | undefined;
  #firstSeen: number | undefined;
  #matched = false;

  constructor(expected: LogHead | undefined) {
    this.#expected = expected;
  }

  /** The chain stood at this digest after the record of this sequence. */
  position(sequence: number, digest: Uint8Array): void {
    this.#firstSeen ??= sequence;
    const expected = this.#expected;
    if (sequence !== expected?.sequence) return;
    // A deposited head may carry only the first part of the digest.
    if (equalBytes(digest.subarray(0, expected.digest.length), expected.digest)) this.#matched = true;
  }

  /**
   * Judges when all was read. Where compaction has taken the part of the log that the head lies in, its digest is
   * gone; but a log of this generation that goes further can only be a continuation.
   * @throws EvidenceError STORE_ROLLED_BACK.
   */
  finish({ generation, sequence }: LogHead): void {
    const expected = this.#expected;
    if (expected === undefined) return;
    const isBehind = generation < expected.generation || sequence < expected.sequence;
    const isVisible = this.#firstSeen !== undefined && this.#firstSeen <= expected.sequence;
    if (!isBehind && (this.#matched || !isVisible)) return;
    throw new EvidenceError(
      'STORE_ROLLED_BACK',
      isBehind
        ? 'the store on this disk is older than the last head that was deposited'
        : 'the log on this disk does not contain the last head that was deposited',
      {
        expected: `generation ${expected.generation}, at least sequence ${expected.sequence}`,
        observed: `generation ${generation}, sequence ${sequence}`,
        hint: 'the host may have put back an old disk; restoring a backup on purpose needs an explicit override',
      },
    );
  }
}
