import { utf8 } from '../bytes/concat.ts';
import { Memo, memoKey } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { BoundRequest } from './handshake.ts';

const NO_PROOF = new Uint8Array(0);

/**
 * Keeps each answer until its challenge expires. When an answer is lost, the client sends its request again and gets
 * the same answer. A replay by another party is harmless: the answer is sealed to the client's ephemeral key.
 */
export class ReplayCache<Answer> {
  readonly #answers: Memo<Promise<Answer>>;

  constructor(options: { readonly ttlMs: number; readonly maxAnswers: number }) {
    this.#answers = new Memo(options.maxAnswers, { ttlMs: options.ttlMs });
  }

  /** A digest of the whole request; the certificate chain, which ends the quote, by its own digest. */
  static nameOf({ request, reportData, quote }: BoundRequest): string {
    const { certificateChain, certificateChainDigest } = quote;
    const beforeChain = request.quote.subarray(0, request.quote.length - certificateChain.length);
    const proof = request.recoveryProof ?? NO_PROOF;
    return memoKey(sha256(reportData, proof, beforeChain, utf8(certificateChainDigest)));
  }

  /** The answer that is remembered or under way for this name, else a new answer. Failures are not remembered. */
  share(name: string, nowMs: number, make: () => Promise<Answer>): Promise<Answer> {
    const present = this.#answers.find(name, nowMs);
    if (present !== undefined) return present;
    const answer = make();
    this.#answers.set(name, answer, nowMs);
    answer.catch(() => this.#answers.delete(name, answer));
    return answer;
  }

  clear(): void {
    this.#answers.clear();
  }
}
