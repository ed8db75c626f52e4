import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toHex } from '../../src/bytes/hex.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { grandpaCases, grandpaLine } from './grandpa-cases.ts';
import { proofCases, proofLine } from './proof-cases.ts';

/** The verdicts of one crate over cases that follow from a seed. */
export interface VerdictSet {
  readonly crate: string;
  readonly seed: number;
  /** SHA-256 of all cases as the crate got them, one a line. */
  readonly casesSha256: string;
  /** One for each case, in their order; see the Rust program for their words. */
  readonly verdicts: readonly string[];
}

/** What is committed: verdicts of the code that Substrate nodes run. */
export interface ChainVerdicts {
  readonly grandpa: VerdictSet;
  readonly proofs: VerdictSet;
}

const SEED = 2026;
/** All committed cases of justifications. */
export const committedGrandpaCases = () => grandpaCases(SEED, 2520);
/** All committed cases of storage proofs. */
export const committedProofCases = () => proofCases(SEED, 600);

/** Hexadecimal digits of a value's digest that are kept: enough to tell values of one trie apart. */
const DIGEST_DIGITS = 8;

const setOf = (crate: string, lines: readonly string[], verdicts: readonly string[]): VerdictSet => ({
  crate,
  seed: SEED,
  casesSha256: toHex(sha256(new TextEncoder().encode(lines.join('\n')))),
  verdicts,
});

/** Lets a judge decide all committed cases. @param judge one verdict for each line. */
export function verdictsBy(judge: (lines: readonly string[]) => readonly string[]): ChainVerdicts {
  const justifications = committedGrandpaCases().map(grandpaLine);
  const proofs = committedProofCases().map(proofLine);
  const shortened = judge(proofs).map((line) =>
    line
      .split(',')
      .map((verdict) => verdict.slice(0, DIGEST_DIGITS))
      .join(','),
  );
  return {
    grandpa: setOf('finality-grandpa 0.16.3', justifications, judge(justifications)),
    proofs: setOf('sp-trie 47.0.0', proofs, shortened),
  };
}

/** Where the verdicts are committed. */
export const verdictsPath = fileURLToPath(new URL('../vectors/chain-verdicts.json', import.meta.url));

/** The committed verdicts. */
export const readVerdicts = (): ChainVerdicts => JSON.parse(readFileSync(verdictsPath, 'utf8'));
