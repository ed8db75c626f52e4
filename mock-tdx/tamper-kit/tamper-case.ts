import type { Evidence } from './evidence.ts';
import type { TamperBench } from './tamper-bench.ts';

/** What a strict verifier must say. */
export type Expectation =
  | {
      readonly ok: true;
      readonly tcbStatus: string;
      /** Sorted; none when absent. */
      readonly advisoryIds?: readonly string[];
    }
  | {
      readonly ok: false;
      readonly code: string;
      /** When the TCB was evaluated before the refusal. */
      readonly tcbStatus?: string;
    };

/** One defect, or one oddity that must be accepted, in otherwise good evidence. */
export interface TamperCase {
  /** Stable, kebab-case, unique. */
  readonly name: string;
  /** The check that it is for, as the rows are numbered in docs/collateral.md. */
  readonly row: string;
  readonly about: string;
  readonly make: (bench: TamperBench) => Evidence;
  readonly expected: Expectation;
  /** Policy file content to verify with; the default policy when absent. */
  readonly policy?: Readonly<Record<string, unknown>>;
}

/** Accepts every status that a policy may accept, so that the evaluated one shows. */
export const anyStatus = {
  acceptedTcbStatuses: [
    'UpToDate',
    'SWHardeningNeeded',
    'ConfigurationNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
    'TDRelaunchAdvised',
    'TDRelaunchAdvisedConfigurationNeeded',
  ],
} as const;

/** Shorthand for the cases of one table. */
export const refused = (code: string, tcbStatus?: string): Expectation =>
  tcbStatus === undefined ? { ok: false, code } : { ok: false, code, tcbStatus };

export const accepted = (tcbStatus = 'UpToDate', advisoryIds: readonly string[] = []): Expectation => ({
  ok: true,
  tcbStatus,
  advisoryIds,
});

/** A case in one line. */
export const tamperCase = (
  name: string,
  row: string,
  about: string,
  make: TamperCase['make'],
  expected: Expectation,
  policy?: TamperCase['policy'],
): TamperCase => ({ name, row, about, make, expected, ...(policy === undefined ? {} : { policy }) });
