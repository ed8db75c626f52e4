import { describe, expect, it } from 'vitest';
import { u32 } from '../../devnet/chain/scale.ts';
import { concatBytes, equalBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { AuthoritySet } from '../../src/chain/proof/authority-set.ts';
import { decodeJustification, verifyJustification } from '../../src/chain/proof/justification.ts';
import { ProvenState } from '../../src/chain/proof/trie-proof.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import {
  committedGrandpaCases,
  committedProofCases,
  readVerdicts,
  verdictsBy,
} from '../support/chain-verdicts.ts';
import { type GrandpaCase, grandpaCases } from '../support/grandpa-cases.ts';
import { judgeByRule } from '../support/grandpa-rule.ts';
import type { ProofCase } from '../support/proof-cases.ts';

const committed = readVerdicts();
const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 1_000_000);
console.log(`GRANDPA beside its written rule: seed ${seed}`);

/** What a call gives; `refusal` when it refuses by an error of ours. */
function orRefusal<Value>(call: () => Value, refusal: Value): Value {
  try {
    return call();
  } catch (error) {
    if (error instanceof LatchkeyError) return refusal;
    throw error;
  }
}

const isAccepted = ({ bytes, members, setId }: GrandpaCase): boolean =>
  orRefusal(() => {
    const set = members.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight }));
    verifyJustification(decodeJustification(bytes), new AuthoritySet(setId, set));
    return true;
  }, false);

it('the committed verdicts belong to the cases of the generator', () => {
  const made = verdictsBy((lines) => lines.map(() => ''));
  expect(made.grandpa.casesSha256).toBe(committed.grandpa.casesSha256);
  expect(made.proofs.casesSha256).toBe(committed.proofs.casesSha256);
});

describe('justifications compared with finality-grandpa', () => {
  const cases = committedGrandpaCases();
  const judged = cases.map((one, index) => ({
    one,
    rule: judgeByRule(one.plain),
    isValidThere: committed.grandpa.verdicts[index] === 'valid',
    isAccepted: isAccepted(one),
  }));

  it('there are at least 2,000 cases, and every scenario occurs', () => {
    expect(committed.grandpa.verdicts).toHaveLength(cases.length);
    expect(cases.length).toBeGreaterThanOrEqual(2000);
    for (const scenario of new Set(cases.map(({ scenario }) => scenario)))
      expect(cases.filter((one) => one.scenario === scenario).length, scenario).toBeGreaterThan(20);
  });

  it('every justification that we accept is valid there', () => {
    const looser = judged.filter((verdict) => verdict.isAccepted && !verdict.isValidThere);
    expect(looser.map(({ one }) => one.scenario)).toEqual([]);
  });

  it('a justification that is valid there and refused here is one of the documented strict refusals', () => {
    const stricter = judged.filter((verdict) => !verdict.isAccepted && verdict.isValidThere);
    const unexplained = stricter.filter(({ rule }) => rule.strict.length === 0);
    expect(unexplained.map(({ one }) => one.scenario)).toEqual([]);
    const reasons = new Set(stricter.flatMap(({ rule }) => rule.strict));
    expect([...reasons].sort()).toEqual(
      ['header twice', 'stranger', 'third vote', 'too many votes', 'two branches'].sort(),
    );
  });

  it('the reference rule gives the same verdicts as both', () => {
    const wrong = judged.filter(
      ({ isAccepted: accepted, isValidThere, rule }) =>
        rule.isValid !== accepted || (rule.strict.length === 0 && rule.isValid !== isValidThere),
    );
    expect(wrong.map(({ one, rule }) => `${one.scenario}: ${JSON.stringify(rule)}`)).toEqual([]);
  });

  it.each([
    'equivocates early, then for the target',
    'equivocates at the target',
    'equivocates after the target',
    'both votes above',
    'both votes below',
    'one vote below, one above',
    'one vote below, signed twice',
  ])('an equivocator decides: %s', (name) => {
    const of = (where: string) => judged.filter(({ one }) => one.scenario === `${name}, ${where}`);
    const accepted = of('at the threshold').filter((verdict) => verdict.isAccepted);
    expect(accepted.length).toBeGreaterThan(20);
    const below = of('just below the threshold').filter(({ one }) => one.members.length > 3);
    expect(below.filter((verdict) => verdict.isAccepted)).toEqual([]);
  });
});

describe('justifications compared with the reference rule', () => {
  it('random votes get the same verdict', () => {
    const wrong = grandpaCases(seed, 1000).filter(
      (one) => judgeByRule(one.plain).isValid !== isAccepted(one),
    );
    expect(wrong.map(({ scenario }) => scenario)).toEqual([]);
  });
});

describe('storage proofs compared with sp-trie', () => {
  const digestOf = (bytes: Uint8Array): string => toHex(blake2b256(bytes)).slice(0, 8);

  function verdictsOf({ keys, nodes, prefix, root }: ProofCase): string[] {
    const state = new ProvenState(root, nodes);
    const single = (key: Uint8Array): string => {
      const value = state.value(key);
      return value === undefined ? '-' : digestOf(value);
    };
    const all = (): string =>
      digestOf(
        concatBytes(
          ...state
            .entries(prefix)
            .flatMap(([key, value]) => [u32(key.length), key, u32(value.length), value]),
        ),
      );
    return [...keys.map((key) => orRefusal(() => single(key), '!')), orRefusal(all, '!')];
  }

  const judged = committedProofCases().flatMap((one, index) => {
    const theirs = committed.proofs.verdicts[index]?.split(',') ?? [];
    const isEmpty = equalBytes(one.root, blake2b256(Uint8Array.of(0)));
    return verdictsOf(one).map((ours, at) => ({ kind: one.kind, isEmpty, ours, theirs: theirs[at] }));
  });

  it('every value, absence and list is the same, or the proof is refused here', () => {
    expect(judged.filter(({ ours, theirs }) => ours !== '!' && ours !== theirs)).toEqual([]);
  });

  it('only malformed nodes and the empty trie without its node are accepted there and refused here', () => {
    const stricter = judged.filter(({ ours, theirs }) => ours === '!' && theirs !== '!');
    expect(stricter.filter(({ isEmpty, kind }) => kind !== 'malformed root node' && !isEmpty)).toEqual([]);
    expect(judged.filter(({ kind, theirs }) => kind === 'honest' && theirs === '!')).toEqual([]);
  });
});
