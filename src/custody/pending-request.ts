import { equalBytes } from '../bytes/concat.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import type { RandomSource } from '../crypto/random.ts';
import { combineShares } from '../crypto/shamir.ts';
import { X_WING_SEED_BYTES, xWingPublicKey } from '../crypto/x-wing.ts';
import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import { shareOfPart } from '../keyslots/custody-parts.ts';
import { generationVerifier } from '../keyslots/generations.ts';
import type { Generation, KeyslotFile } from '../keyslots/keyslot-file.ts';
import { decodeAnswer, openAnswer } from './answer.ts';
import { type CustodyQuestion, custodyReportData } from './request.ts';

/** The one-time key of a request: its seed never leaves the memory of this process. */
export class OneTimeKey {
  readonly #seed: SecretBytes;
  /** 1216 bytes. */
  readonly publicKey: Uint8Array;

  constructor(random: RandomSource) {
    this.#seed = SecretBytes.adopt(random(X_WING_SEED_BYTES));
    this.publicKey = xWingPublicKey(this.#seed.reveal());
  }

  get seed(): SecretBytes {
    return this.#seed;
  }

  wipe(): void {
    this.#seed.wipe();
  }
}

/** A request that waits for the answers of custodians. */
export class PendingRequest {
  readonly #question: CustodyQuestion;
  readonly #key: OneTimeKey;
  readonly #file: KeyslotFile;
  readonly #generation: Generation;
  /** Parts by position. */
  readonly #parts = new Map<number, Uint8Array>();

  constructor(question: CustodyQuestion, key: OneTimeKey, file: KeyslotFile, generation: Generation) {
    this.#question = question;
    this.#key = key;
    this.#file = file;
    this.#generation = generation;
  }

  get generation(): number {
    return this.#generation.generation;
  }

  get threshold(): number {
    return this.#question.threshold;
  }

  /** Names of the custodians that gave their part. */
  get answered(): readonly string[] {
    return [...this.#parts.keys()].flatMap((index) => this.#question.parts[index]?.custodian ?? []);
  }

  /**
   * Takes the answer of one custodian; the same one again changes nothing.
   * @returns the name of the custodian.
   * @throws EvidenceError CUSTODY_BLOCK_MALFORMED, CUSTODY_ANSWER_WRONG naming the custodian; RefusalError
   *   CUSTODY_REQUEST_UNKNOWN for an answer to another request.
   */
  offer(text: string): string {
    const answer = decodeAnswer(text);
    if (!equalBytes(answer.request, custodyReportData(this.#question))) throw unknownRequest();
    const expected = this.#question.parts[answer.index];
    if (expected === undefined) throw answerWrong(`the custodian at place ${answer.index}`, 'there is none');
    const part = openAnswer(answer, expected, this.#key.seed);
    if (part === undefined) {
      throw answerWrong(expected.custodian, 'it does not open to the part of the keyslot file');
    }
    this.#parts.get(answer.index)?.fill(0);
    this.#parts.set(answer.index, part);
    return expected.custodian;
  }

  /**
   * The store key, once enough parts are here; the caller wipes it.
   * @returns `undefined` while there are too few.
   * @throws EvidenceError KEYSLOT_FILE_MALFORMED when the parts do not give the key that made the generation.
   */
  combine(): SecretBytes | undefined {
    const { threshold } = this.#question;
    const shares = [...this.#parts.values()].slice(0, threshold).map(shareOfPart);
    if (shares.length < threshold) return undefined;
    const storeKey = combined(shares, threshold);
    if (storeKey !== undefined && generationVerifier(this.#file, this.#generation)(storeKey)) {
      return SecretBytes.adopt(storeKey);
    }
    storeKey?.fill(0);
    throw new EvidenceError(
      'KEYSLOT_FILE_MALFORMED',
      'the parts of the custodians do not give the key of this keyslot file',
      {
        field: 'custody',
        hint: 'the file was changed on the disk; put the newest copy of it back, and make a new request (`latchkey custody request`)',
      },
    );
  }

  /** Wipes the one-time key and all parts. */
  wipe(): void {
    this.#key.wipe();
    this.dropParts();
  }

  /** Wipes the parts, which together are the store key. The same answers can be given again. */
  dropParts(): void {
    for (const part of this.#parts.values()) part.fill(0);
    this.#parts.clear();
  }
}

/** `undefined` for shares that cannot be combined: only a forged file has them. */
function combined(shares: readonly Uint8Array[], threshold: number): Uint8Array | undefined {
  try {
    return combineShares(shares, threshold);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** CUSTODY_REQUEST_UNKNOWN. */
export const unknownRequest = (): RefusalError =>
  new RefusalError('CUSTODY_REQUEST_UNKNOWN', 'no request of this process waits for this answer', {
    hint: 'a restart or a later request voids a request: make a new one (`latchkey custody request`), and ask the custodians again',
  });

const answerWrong = (custodian: string, why: string): EvidenceError =>
  new EvidenceError('CUSTODY_ANSWER_WRONG', `the answer of ${custodian} is wrong: ${why}`, {
    field: custodian,
    hint: 'the other answers still count; ask this custodian again, or another one',
  });
