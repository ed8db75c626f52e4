import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { TrustRoot } from '../../tdx/verify-quote.ts';
import { platformPolicyOf } from '../../trust/trust-section.ts';

/**
 * Refuses a ring where anybody with one TDX machine could become a member: every member sees every secret that it holds.
 * @throws ProblemError CONFIG_INVALID.
 */
export function requireRingTrust({ trust }: Pick<Config, 'trust'>, trustRoot: TrustRoot): void {
  if (trust.ring === undefined) return;
  if (trust.chain.checkpoint === undefined)
    throw refusal('trust.chain.checkpoint', 'a checkpoint', 'none', '`latchkey trust checkpoint` prints one');
  const { servers } = platformPolicyOf(trust);
  if (servers === 'endorsed' || !trustRoot.isIntel) return;
  throw refusal(
    'trust.platforms.servers',
    'endorsed',
    servers,
    'set trust.authority and trust.platforms.servers: endorsed, and let the authority endorse the platforms of the fleet',
  );
}

const refusal = (field: string, expected: string, observed: string, hint: string): ProblemError =>
  new ProblemError('CONFIG_INVALID', `trust.ring needs ${field}: ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
    hint: `${hint}; or remove trust.ring`,
  });
