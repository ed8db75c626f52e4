import { refusedAttributeRules } from './policy-attributes.ts';
import { measurementRules } from './policy-measurements.ts';
import { tcbRules } from './policy-tcb.ts';
import { VerifiedQuote } from './quote-verifier.ts';
import type { PolicyRule, TdPolicy } from './td-policy.ts';

/** All rules in the order in which they are applied. */
export const policyRules: readonly PolicyRule[] = [
  ...refusedAttributeRules,
  ...measurementRules,
  ...tcbRules,
];

/**
 * Applies every rule of a policy.
 * @throws RefusalError of the first rule that refuses; TypeError for anything that a `QuoteVerifier` did not make.
 */
export function applyPolicy(verified: VerifiedQuote, policy: TdPolicy, nowMs: number): void {
  if (!VerifiedQuote.isProof(verified)) {
    throw new TypeError('a policy is applied to a VerifiedQuote, which QuoteVerifier.verify makes');
  }
  for (const rule of policyRules) rule.check(verified, policy, nowMs);
}

export { requireNotDebug } from './policy-attributes.ts';
export { defaultPolicy, parsePolicy } from './policy-file.ts';
export type { ExtendedReportPolicy, MeasurementField, PolicyRule, TdPolicy } from './td-policy.ts';
