import { toPrefixedHex } from '../../bytes/hex.ts';
import type { Config } from '../../config/schema.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { EarlyWarnings } from '../../node/early-warnings.ts';
import type { NodeParts } from '../../node/parts.ts';
import { examineOwnMachine, type SelfCheckParts } from '../../node/self-check.ts';
import { silentLog } from '../../observe/log.ts';
import { Metrics } from '../../observe/metrics.ts';
import { withDeadline } from '../../time/deadline.ts';
import { platformHash } from '../../trust/platform-lists.ts';
import { platformPolicyOf, tdPolicyOf } from '../../trust/trust-section.ts';
import type { Finding } from './finding.ts';

/** How long the quote source and the services of collateral may take, in milliseconds. */
const QUOTE_DEADLINE_MS = 20_000;
const DAY_MS = 24 * 3_600_000;
/** Nodes renew their collateral long before; less than this means that the renewal fails. */
const SHORT_VALIDITY_MS = 3 * DAY_MS;

/** The parts that these checks use. */
export type MachineParts = SelfCheckParts & Pick<NodeParts, 'earlyCollateral' | 'client'>;

/** What the own quote shows: MRCONFIGID, platform, how long its collateral holds, and whether its TCB will do. */
export async function machineFindings(
  { trust }: Pick<Config, 'trust'>,
  parts: MachineParts,
): Promise<readonly Finding[]> {
  const own = await ownQuoteFindings(trust, parts);
  return [...own, collateralFinding(parts), ...(await tcbFindings(trust, parts))];
}

async function ownQuoteFindings(trust: Config['trust'], parts: MachineParts): Promise<readonly Finding[]> {
  try {
    const examined = await withDeadline(parts.clock, QUOTE_DEADLINE_MS, () =>
      examineOwnMachine(parts, trust),
    );
    if (examined === undefined) {
      const advice = 'the quote generation service of the host does not answer; `latchkey status --explain`';
      return [
        { check: 'trust-hash', level: 'wrong', text: 'the quote source gave no quote in time', advice },
      ];
    }
    return [
      { check: 'trust-hash', level: 'good', text: 'MRCONFIGID of this machine is the trust hash' },
      platformFinding(trust, examined.ppid),
    ];
  } catch (error) {
    const isMismatch = error instanceof LatchkeyError && error.code === 'TRUST_HASH_MISMATCH';
    const hashes = isMismatch ? `; trust hash ${error.expected}, MRCONFIGID ${error.observed}` : '';
    const text = error instanceof LatchkeyError ? `${error.code}: ${error.message}` : String(error);
    const advice =
      (error instanceof LatchkeyError ? error.hint : undefined) ??
      '`latchkey quote verify` says more about a quote';
    return [{ check: 'trust-hash', level: 'wrong', text: text + hashes, advice }];
  }
}

/** Whether the fleet endorses or revokes it is known to a running node: `latchkey status` says so. */
const platformFinding = (trust: Config['trust'], ppid: Uint8Array): Finding => ({
  check: 'platform',
  level: 'good',
  text: `${toPrefixedHex(platformHash(ppid))} is SHA-256 of the PPID of this machine; keys are given back by the rule "${platformPolicyOf(trust).recover}" (trust.platforms.recover)`,
});

function collateralFinding({ collateral, clock }: MachineParts): Finding {
  const advice = 'check collateral.endpoints; `latchkey collateral fetch` shows what they give';
  const [own] = collateral.status();
  if (own === undefined) {
    const text = 'none was asked for, because the quote of this machine was not verified';
    return { check: 'collateral', level: 'warning', text, advice };
  }
  const { state, validUntilMs, lastFailure } = own;
  if (validUntilMs === undefined || state === 'refused')
    return {
      check: 'collateral',
      level: 'wrong',
      text: `there is none that holds: ${lastFailure ?? state}`,
      advice,
    };
  const text = `valid until ${new Date(validUntilMs).toISOString()}`;
  if (state === 'grace')
    return { check: 'collateral', level: 'wrong', text: `${text}, which has passed`, advice };
  const isShort = validUntilMs - clock.nowMs() < SHORT_VALIDITY_MS;
  return isShort
    ? { check: 'collateral', level: 'warning', text, advice }
    : { check: 'collateral', level: 'good', text };
}

/** A TCB evaluation that Intel has published early refuses this machine from a day on that is known roughly. */
async function tcbFindings(trust: Config['trust'], parts: MachineParts): Promise<readonly Finding[]> {
  const { earlyCollateral: early } = parts;
  if (early === undefined) return [];
  const policy = tdPolicyOf(trust);
  const warnings = new EarlyWarnings({ ...parts, early, policy, log: silentLog, metrics: new Metrics() });
  const isKnown = await withDeadline(parts.clock, QUOTE_DEADLINE_MS, (signal) => warnings.look([], signal));
  const summary = warnings.summary();
  if (summary !== '') {
    const advice =
      'update BIOS, microcode and TDX module, and have the PCK certificate issued again; docs/operations.md, "Early warning"';
    return [{ check: 'tcb', level: 'warning', text: summary, advice }];
  }
  if (isKnown !== true) {
    const text = 'whether an early TCB evaluation refuses this machine could not be found out';
    return [
      { check: 'tcb', level: 'warning', text, advice: 'check collateral.endpoints and the quote source' },
    ];
  }
  return [{ check: 'tcb', level: 'good', text: 'no early TCB evaluation refuses this machine' }];
}
