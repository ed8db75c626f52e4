import { utf8 } from '../bytes/concat.ts';
import { Memo, memoKey } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { BoundRequest } from './handshake.ts';

const NO_PROOF = new Uint8Array(0);

/**
 * Remembers answers for as long as their challenge lives, so that a request which is sent again, because its answer
 * was lost, gets the same answer. Nobody gains by replaying: the answer is sealed to the ephemeral key.
 */
export class ReplayCache<Answer> {
  readonly #answers: Memo<Promise<Answer>>;

  constructor(options: { readonly ttlMs: number; readonly maxAnswers: number }) {
    this.#answers = new Memo(options.maxAnswers, { ttlMs: options.ttlMs });
  }

  /** Names a request by all that was in it, its quote's own bytes included; the chain is their end. */
  static nameOf({ request, reportData, quote }: BoundRequest): string {
    const { certificateChain, certificateChainDigest } = quote;
    const beforeChain = request.quote.subarray(0, request.quote.length - certificateChain.length);
    const proof = request.recoveryProof ?? NO_PROOF;
    return memoKey(sha256(reportData, proof, beforeChain, utf8(certificateChainDigest)));
  }

  /** The answer that is remembered or being made under this name, else a new one. Failures are not remembered. */
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
