import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CollateralDocuments, parseCollateralDocuments } from '../../src/tdx/collateral.ts';
import { parseQuote, type Quote } from '../../src/tdx/quote.ts';
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

/** The policy that the cases assume. */
export const casePolicy = { acceptedTcbStatuses: ['UpToDate', 'OutOfDate'], requireSeptVeDisable: false };

const folder =
  process.env['LATCHKEY_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url));

const namesIn = (kind: string, ending: string): readonly string[] =>
  readdirSync(`${folder}/tdx/${kind}`).map((name) => name.slice(0, -ending.length));

export const tdxCases = (): readonly TdxCase[] => vectorJson<TdxCase[]>('tdx/cases.json');
export const quoteIds = (): readonly string[] => namesIn('quotes', '.bin');
export const collateralIds = (): readonly string[] => namesIn('collateral', '.json');
export const quoteBytes = (id: string): Uint8Array => vectorBytes(`tdx/quotes/${id}.bin`);
export const genuineQuote = (id: string): Quote =>
  parseQuote(quoteBytes(id), { trailing: 'allow-zero-padding' });
export const genuineCollateral = (id: string): CollateralDocuments =>
  parseCollateralDocuments(vectorJson<unknown>(`tdx/collateral/${id}.json`));

/** A v4 quote, a v5 quote, and sets under which both are UpToDate. */
export const upToDatePairs = [
  { quote: 'f1c850330112', collateral: 'A_b0c06f_2025_07', nowMs: Date.UTC(2025, 6, 1) },
  { quote: 'cf77a6e91e48', collateral: 'B_90c06f_2026_02', nowMs: Date.UTC(2026, 2, 1) },
] as const;
