import { styleText } from 'node:util';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { type Fact, quoteFacts, type ReportInput, signatureFacts } from '../../inspect/quote-facts.ts';
import type { Quote } from '../../tdx/quote.ts';
import type { QuoteVerifier } from '../../tdx/verify-quote.ts';
import type { Outcome } from './answer.ts';

const marks = {
  holds: () => styleText('green', '✓'),
  fails: () => styleText('red', '✗'),
  open: () => styleText('dim', '·'),
} as const;

/** The report of a whole verification: each fact with its mark, then the verdict. */
export function formatReport(outcome: Outcome, input: ReportInput): string {
  const { evidence, policy } = quoteFacts(input);
  return [...formatFacts(evidence), 'policy', ...formatFacts(policy), formatVerdict(outcome)].join('\n');
}

/** The report of a verification without collateral. */
export function formatChainReport(
  outcome: Outcome,
  verifier: QuoteVerifier,
  quote: Quote,
  nowMs: number,
): string {
  const facts = signatureFacts(verifier, quote, nowMs);
  const debug: Fact =
    outcome.ok || outcome.error.code !== 'TD_DEBUG'
      ? { mark: facts[1]?.mark === 'holds' ? 'holds' : 'open', text: 'TD is not under debug' }
      : { mark: 'fails', text: outcome.error.message };
  const skipped: Fact = {
    mark: 'open',
    text: 'revocation, TCB level, TDX module and policy: not checked (--chain-only)',
  };
  return [...formatFacts([...facts, debug, skipped]), formatVerdict(outcome)].join('\n');
}

const formatFacts = (facts: readonly Fact[]): readonly string[] =>
  facts.map(({ mark, text }) => `  ${marks[mark]()} ${escapeControls(text)}`);

/** The last line of a report, and all of it when there is nothing else to say. */
export function formatVerdict(outcome: Outcome): string {
  if (outcome.ok) {
    return `${styleText('green', 'accepted')}${outcome.verified === undefined ? '' : `: ${outcome.verified.tcbStatus}`}\n`;
  }
  const { error } = outcome;
  const hint = error.hint === undefined ? '' : `  hint: ${escapeControls(error.hint)}\n`;
  const verdict = error.family === 'problem' ? styleText('yellow', 'undecided') : styleText('red', 'refused');
  return `${verdict}: ${error.code}: ${escapeControls(error.message)}\n${hint}`;
}
