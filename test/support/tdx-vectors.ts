import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CollateralDocuments, parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { parseQuote, type Quote } from '../../src/tdx/quote.ts';
import { tcbStatuses } from '../../src/tdx/tcb-status.ts';
import { vectorBytes, vectorJson } from './vectors.ts';

/** One row of cases.json. */
export interface TdxCase {
  readonly quote: string;
  readonly collateral: string;
  readonly now: string;
  readonly expected:
    | { readonly outcome: 'accept'; readonly tcbStatus: string; readonly advisoryIds: readonly string[] }
    | { readonly outcome: 'reject'; readonly reason: string; readonly tcbStatus?: string };
}

/** One row of the cases of November 2026: verdicts of Intel's QVL of July 2026. */
export interface NovemberCase {
  readonly quote: string;
  readonly collateral: string;
  readonly now: string;
  readonly expected: { readonly outcome: 'accept'; readonly tcbStatus: string };
}

/** The policy that the cases of November 2026 assume: no opinion on status and attributes, as Intel's library has none. */
export const novemberPolicy = {
  acceptedTcbStatuses: tcbStatuses.filter((status) => status !== 'Revoked'),
  requireSeptVeDisable: false,
  allowMigratable: true,
  // That of quote 67adfc4acd82, which is migratable and has a migration TD.
  mrServiceTd: [
    '00'.repeat(48),
    'fe137531a4f9ec8fcba90d1040f3e9ea86ec933ff99570b5d0ef6aa752d69abb1d0ece885d22e8289345ab90ed084cea',
  ],
};

/** The policy that the cases assume. */
export const casePolicy = { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'], requireSeptVeDisable: false };

const folder =
  process.env['LATCHKEY_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

const namesIn = (kind: string, ending: string): readonly string[] =>
  readdirSync(`${folder}/tdx/${kind}`).map((name) => name.slice(0, -ending.length));

export const tdxCases = (): readonly TdxCase[] => vectorJson<TdxCase[]>('tdx/cases.json');
export const novemberCases = (): readonly NovemberCase[] =>
  vectorJson<{ readonly rows: NovemberCase[] }>('tdx-2026-11/cases.json').rows;
export const quoteIds = (): readonly string[] => namesIn('quotes', '.bin');
export const collateralIds = (): readonly string[] => namesIn('collateral', '.json');
/** The sets of November 2026 have their own folder. */
const pathOf = (kind: string, name: string): string =>
  existsSync(`${folder}/tdx/${kind}/${name}`) ? `tdx/${kind}/${name}` : `tdx-2026-11/${kind}/${name}`;
export const quoteBytes = (id: string): Uint8Array => vectorBytes(pathOf('quotes', `${id}.bin`));
export const genuineQuote = (id: string): Quote =>
  parseQuote(quoteBytes(id), { trailing: 'allow-zero-padding' });
export const genuineCollateral = (id: string): CollateralDocuments =>
  parseCollateralDocuments(vectorJson<unknown>(pathOf('collateral', `${id}.json`)));

/** A v4 quote, a v5 quote, and sets under which both are UpToDate. */
export const upToDatePairs = [
  { quote: 'f1c850330112', collateral: 'A_b0c06f_2025_07', nowMs: Date.UTC(2025, 6, 1) },
  { quote: 'cf77a6e91e48', collateral: 'B_90c06f_2026_02', nowMs: Date.UTC(2026, 2, 1) },
] as const;
