import { describe, expect, it } from 'vitest';
import { assembleCollateral } from '../../mock-tdx/collateral/collateral-parts.ts';
import type {
  EnclaveLevel,
  ModuleIdentity,
  TcbComponent,
  TcbLevel,
} from '../../mock-tdx/collateral/tcb-info.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../src/tdx/collateral.ts';
import { parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { type TcbStatus, tcbStatuses } from '../../src/tdx/tcb-status.ts';
import { QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import { pki, plainQuote, trustRoot, worldNowMs } from '../support/tdx-world.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

/** One input of a TCB evaluation with the verdict of Intel's QVL of July 2026 (commit d12717e). */
interface EvaluationCase {
  readonly quoteVersion: 4 | 5;
  /** Hex of 16 bytes. */
  readonly teeTcbSvn: string;
  /** Hex of 16 bytes; version 5 only. */
  readonly teeTcbSvn2?: string;
  readonly sgxComponentSvns: readonly number[];
  readonly tcbLevels: readonly {
    readonly sgx0: number;
    readonly tdx0: number;
    readonly tdx2: number;
    readonly tcbStatus: string;
  }[];
  readonly moduleIdentities: readonly {
    readonly id: string;
    readonly levels: readonly { readonly isvsvn: number; readonly tcbStatus: string }[];
  }[];
  readonly qeStatus: string;
  /** A TCB status, or the name of a refusal. */
  readonly intel: string;
}

const cases = haveVectors
  ? vectorJson<{ readonly cases: readonly EvaluationCase[] }>('tdx-2026-11/tcb-evaluation-intel.json').cases
  : [];

const isStatus = (name: string): name is TcbStatus => tcbStatuses.some((status) => status === name);
const svns = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

function withSvn(components: readonly TcbComponent[], changes: Readonly<Record<number, number>>) {
  return components.map((component, index) => ({ ...component, svn: changes[index] ?? component.svn }));
}

/** The default collateral of mock-tdx, with the levels and statuses of the case. */
function collateralOf({ tcbLevels, moduleIdentities, qeStatus }: EvaluationCase): CollateralDocuments {
  const parts = pki.collateralParts({ nowMs: worldNowMs });
  const info = parts.tcbInfo.content;
  const [base] = info.tcbLevels;
  const [module] = info.tdxModuleIdentities;
  const [qeLevel, ...olderQeLevels] = parts.qeIdentity.content.tcbLevels;
  if (base === undefined || module === undefined || qeLevel === undefined)
    throw new Error('mock-tdx has levels');
  const levels = tcbLevels.map(
    ({ sgx0, tdx0, tdx2, tcbStatus }): TcbLevel => ({
      ...base,
      tcb: {
        ...base.tcb,
        sgxtcbcomponents: withSvn(base.tcb.sgxtcbcomponents, { 0: sgx0 }),
        tdxtcbcomponents: withSvn(base.tcb.tdxtcbcomponents, { 0: tdx0, 2: tdx2 }),
      },
      tcbStatus,
    }),
  );
  const identities = moduleIdentities.map(
    ({ id, levels: moduleLevels }): ModuleIdentity => ({
      ...module,
      id,
      tcbLevels: moduleLevels.map(
        ({ isvsvn, tcbStatus }): EnclaveLevel => ({
          tcb: { isvsvn },
          tcbDate: '2025-05-14T00:00:00Z',
          tcbStatus,
        }),
      ),
    }),
  );
  return parseCollateralDocuments(
    assembleCollateral({
      ...parts,
      tcbInfo: { ...parts.tcbInfo, content: { ...info, tcbLevels: levels, tdxModuleIdentities: identities } },
      qeIdentity: {
        ...parts.qeIdentity,
        content: {
          ...parts.qeIdentity.content,
          tcbLevels: [{ ...qeLevel, tcbStatus: qeStatus }, ...olderQeLevels],
        },
      },
    }),
  );
}

/** The TCB status, or `refused`. */
function verdict(verifier: QuoteVerifier, input: EvaluationCase): string {
  const quote = plainQuote({
    version: input.quoteVersion,
    facts: { componentSvns: input.sgxComponentSvns },
    body: {
      teeTcbSvn: svns(input.teeTcbSvn),
      ...(input.teeTcbSvn2 === undefined ? {} : { teeTcbSvn2: svns(input.teeTcbSvn2) }),
    },
  });
  try {
    return verifier.verify(quote, { collateral: collateralOf(input), nowMs: worldNowMs }).tcbStatus;
  } catch (error) {
    if (error instanceof EvidenceError && /^(TCB_NOT_SUPPORTED|TDX_MODULE_MISMATCH)$/.test(error.code)) {
      return 'refused';
    }
    throw error;
  }
}

describe.skipIf(!haveVectors)('TCB evaluations that Intel’s library judged', () => {
  it('there are 400 cases of both quote versions, accepted and refused', () => {
    expect(cases).toHaveLength(400);
    expect(new Set(cases.map(({ quoteVersion }) => quoteVersion))).toEqual(new Set([4, 5]));
    const accepted = cases.filter(({ intel }) => isStatus(intel)).length;
    expect([accepted, 400 - accepted]).toEqual([117, 283]);
  });

  it('each case has the same verdict here', { timeout: 120_000 }, () => {
    const verifier = new QuoteVerifier({ trustRoot });
    const wrong = cases.flatMap((input, index) => {
      const wanted = isStatus(input.intel) ? input.intel : 'refused';
      const observed = verdict(verifier, input);
      return observed === wanted ? [] : [`case ${index}: Intel ${input.intel}, here ${observed}`];
    });
    expect(wrong).toEqual([]);
  });
});
