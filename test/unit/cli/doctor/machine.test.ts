import { describe, expect, it } from 'vitest';
import { assembleCollateral } from '../../../../mock-tdx/collateral/collateral-parts.ts';
import { createDevelopmentPki } from '../../../../mock-tdx/development-pki.ts';
import { type MachineParts, machineFindings } from '../../../../src/cli/doctor/machine.ts';
import type { CollateralSource, CollateralStatus } from '../../../../src/collateral/collateral-source.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { ProblemError } from '../../../../src/errors/latchkey-error.ts';
import { parseCollateralDocuments } from '../../../../src/tdx/collateral.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../../../src/tdx/verify-quote.ts';
import { FlooredClock } from '../../../../src/time/clock.ts';
import { trustHash } from '../../../../src/trust/trust-hash.ts';
import { parseTrustSection } from '../../../../src/trust/trust-section.ts';
import { recoveryOf } from '../../../support/tcb-recovery.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 24 * 3_600_000;
const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(3) });
const trust = parseTrustSection({ chain: { genesisHash: `0x${'ab'.repeat(32)}` }, tcb: {} });
const today = pki.collateral({ nowMs: NOW_MS });
const collateralParts = pki.collateralParts({ nowMs: NOW_MS });
const recovered = assembleCollateral({
  ...collateralParts,
  tcbInfo: { ...collateralParts.tcbInfo, content: recoveryOf(collateralParts.tcbInfo.content) },
});

/** A source with one set, or none. */
function sourceOf(
  documents: object | undefined,
  status: Partial<CollateralStatus> | undefined,
): CollateralSource {
  const close = async () => undefined;
  return {
    graceMs: 0,
    collateralFor: async () => {
      if (documents === undefined) throw new ProblemError('COLLATERAL_UNAVAILABLE', 'no service answers');
      return { documents: parseCollateralDocuments(documents), state: 'fresh', validUntilMs: NOW_MS };
    },
    status: () => (status === undefined ? [] : [status as CollateralStatus]),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Machine {
  readonly mrConfigId?: Uint8Array;
  readonly quote?: () => Promise<Uint8Array>;
  readonly today?: object | undefined;
  readonly status?: Partial<CollateralStatus> | undefined;
  readonly early?: object | undefined;
}

/** Findings by check, of a machine that is good but for what is given. */
async function findingsOf(machine: Machine = {}) {
  const { mrConfigId = trustHash(trust) } = machine;
  const fine = { state: 'fresh', validUntilMs: NOW_MS + 20 * DAY_MS, lastFailure: undefined } as const;
  const parts = {
    quotes: {
      quote:
        machine.quote ?? (async (reportData: Uint8Array) => pki.quote({ reportData, body: { mrConfigId } })),
    },
    random: systemRandom,
    clock: new FlooredClock({ nowMs: () => NOW_MS, sleep: () => new Promise(() => undefined) }),
    verifier: new QuoteVerifier({ trustRoot: insecureTrustRoot(pki.rootPem) }),
    collateral: sourceOf(
      'today' in machine ? machine.today : today,
      'status' in machine ? machine.status : fine,
    ),
    earlyCollateral: sourceOf('early' in machine ? machine.early : today, undefined),
    // Only servers are asked by it, and there are none.
    client: {} as MachineParts['client'],
  };
  const findings = await machineFindings({ trust }, parts);
  for (const { level, advice, check } of findings) if (level !== 'good') expect(advice, check).toBeTruthy();
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
}

describe('the own machine', () => {
  it('that fits its trust section is good', async () => {
    const found = await findingsOf();
    expect(Object.entries(found).map(([check, { level }]) => `${check} ${level}`)).toEqual([
      'trust-hash good',
      'platform good',
      'collateral good',
      'tcb good',
    ]);
  });

  it('with another MRCONFIGID is wrong, with both hashes', async () => {
    const { 'trust-hash': finding } = await findingsOf({ mrConfigId: new Uint8Array(48).fill(7) });
    expect(finding).toMatchObject({ level: 'wrong', text: expect.stringContaining('TRUST_HASH_MISMATCH') });
    expect(finding?.text).toContain('07'.repeat(48));
  });

  it('that makes no quote is wrong', async () => {
    const { 'trust-hash': finding } = await findingsOf({
      quote: () => Promise.reject(new Error('no TDX here')),
    });
    expect(finding).toMatchObject({ level: 'wrong', text: expect.stringContaining('no TDX here') });
  });
});

describe('its collateral', () => {
  const levelOf = async (status: Partial<CollateralStatus> | undefined) =>
    (await findingsOf({ status }))['collateral']?.level;

  it.each([
    ['good', 'fresh', 4 * DAY_MS],
    ['warning', 'fresh', 2 * DAY_MS],
    ['wrong', 'grace', -DAY_MS],
    ['wrong', 'refused', -DAY_MS],
  ] as const)('is %s when it is %s and holds for %d ms', async (level, state, holdsMs) => {
    expect(await levelOf({ state, validUntilMs: NOW_MS + holdsMs })).toBe(level);
  });

  it('that was never there is wrong, with the reason; that was not asked for is a warning', async () => {
    const { collateral } = await findingsOf({
      status: { state: 'refused', lastFailure: 'https://pccs: 503' },
    });
    expect(collateral).toMatchObject({ level: 'wrong', text: expect.stringContaining('https://pccs: 503') });
    expect(await levelOf(undefined)).toBe('warning');
  });
});

describe('an early TCB evaluation', () => {
  it('that will refuse the machine is a warning with its day', async () => {
    const { tcb } = await findingsOf({ early: recovered });
    expect(tcb).toMatchObject({
      level: 'warning',
      text: expect.stringMatching(/refused .*20\d\d-\d\d-\d\d/),
    });
  });

  it('that cannot be had is a warning', async () => {
    expect((await findingsOf({ early: undefined }))['tcb']?.level).toBe('warning');
  });
});
