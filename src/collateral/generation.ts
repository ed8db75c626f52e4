import { toHex } from '../bytes/hex.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { CollateralFacts } from '../tdx/verify-quote.ts';

/**
 * The newest collateral that services gave to this process, document by document. A set with an older document is
 * genuine and still refused: it could hide what Intel has published since. CRL numbers alone do not show it (Intel leaves
 * them at 1), so the dates count too.
 */
export class NewestSeen {
  readonly #marks = new Map<string, bigint>();

  /** Refuses what is older in any respect. @throws ProblemError COLLATERAL_ROLLED_BACK naming the document. */
  requireNotOlder(facts: CollateralFacts): void {
    for (const [name, mark] of marksOf(facts)) {
      const newest = this.#marks.get(name);
      if (newest === undefined || mark >= newest) continue;
      throw new ProblemError('COLLATERAL_ROLLED_BACK', `${name} went back from ${newest} to ${mark}`, {
        field: name,
        expected: `at least ${newest}`,
        observed: `${mark}`,
        hint: 'the service lags behind or is lying; restart if the kind of update was changed on purpose',
      });
    }
  }

  /** Remembers a set that passed {@link requireNotOlder}; newer ones may have been seen since. */
  remember(facts: CollateralFacts): void {
    for (const [name, mark] of marksOf(facts)) {
      const newest = this.#marks.get(name);
      if (newest === undefined || mark > newest) this.#marks.set(name, mark);
    }
  }
}

/** TCB info exists per FMSPC and the PCK CRL per CA; the other two documents are the same for all platforms. */
function marksOf(facts: CollateralFacts): readonly (readonly [name: string, mark: bigint])[] {
  const { ca, crlNumbers, evaluationNumbers, issuedAtMs } = facts;
  const tcbInfo = `the TCB info of ${toHex(facts.fmspc)}`;
  return [
    [`tcbEvaluationDataNumber of ${tcbInfo}`, BigInt(evaluationNumbers.tcbInfo)],
    [`issueDate of ${tcbInfo}`, BigInt(issuedAtMs.tcbInfo)],
    ['tcbEvaluationDataNumber of the QE identity', BigInt(evaluationNumbers.qeIdentity)],
    ['issueDate of the QE identity', BigInt(issuedAtMs.qeIdentity)],
    ['crlNumber of the root CA CRL', crlNumbers.rootCa],
    ['thisUpdate of the root CA CRL', BigInt(issuedAtMs.rootCaCrl)],
    [`crlNumber of the PCK CRL (${ca})`, crlNumbers.pck],
    [`thisUpdate of the PCK CRL (${ca})`, BigInt(issuedAtMs.pckCrl)],
  ];
}
