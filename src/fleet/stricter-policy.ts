import type { TdPolicy } from '../tdx/policy.ts';
import type { FleetInForce } from './in-force.ts';

/** A manifest may ask for newer TCB info than the trust section, never for older. */
export function stricterPolicy(policy: TdPolicy, fleet: FleetInForce | undefined): TdPolicy {
  const number = fleet?.minimumTcbEvaluationDataNumber ?? 0;
  if (number <= policy.minimumTcbEvaluationDataNumber) return policy;
  return { ...policy, minimumTcbEvaluationDataNumber: number };
}
