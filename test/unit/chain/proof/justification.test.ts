import { describe, expect, it } from 'vitest';
import { u32, u64 } from '../../../../devnet/chain/scale.ts';
import { concatBytes } from '../../../../src/bytes/concat.ts';
import { AuthoritySet } from '../../../../src/chain/proof/authority-set.ts';
import { decodeFinalityProof, MAX_FINALITY_PROOF_BYTES } from '../../../../src/chain/proof/finality-proof.ts';
import {
  decodeJustification,
  MAX_JUSTIFICATION_BYTES,
  verifyJustification,
} from '../../../../src/chain/proof/justification.ts';
import {
  GrandpaWorld,
  type JustificationParts,
  type MadeBlock,
  makeBlock,
  makeFinalityProof,
  makeJustification,
  makeVoters,
  precommitMessage,
  secondSignature,
  unanimous,
  type Vote,
  type Voter,
} from '../../../support/grandpa-world.ts';
import { codeOf } from '../../../support/thrown.ts';

const SET_ID = 5n;
const voters = makeVoters(4);
const strangers = makeVoters(4, 8);
const genesis = makeBlock(undefined, { number: 99 });
const target = makeBlock(genesis);
const above = makeBlock(target);
const higher = makeBlock(above);
const sibling = makeBlock(target, { stateRoot: new Uint8Array(32).fill(0xee) });

const setOf = (members: readonly Voter[], id = SET_ID): AuthoritySet =>
  new AuthoritySet(
    id,
    members.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
  );
const votesOf = (members: readonly Voter[], block: MadeBlock = target): Vote[] =>
  members.map((voter) => ({ voter, block }));

/** Code with which a justification is refused; 'none' when it proves its target. */
const verdict = (parts: Partial<JustificationParts>, members: readonly Voter[] = voters): string =>
  codeOf(() => {
    const bytes = makeJustification({ target, setId: SET_ID, votes: votesOf(voters), ...parts });
    verifyJustification(decodeJustification(bytes), setOf(members));
  });

const [first, second, third, fourth] = voters.map((voter) => ({ voter, block: target }));
if (first === undefined || second === undefined || third === undefined || fourth === undefined) {
  throw new Error('four voters are needed');
}
const at = (vote: Vote, block: MadeBlock): Vote => ({ ...vote, block });

describe('thresholds', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
    [5, 4],
    [6, 5],
    [7, 5],
    [100, 67],
  ])('with %i authorities %i must vote', (size, needed) => {
    const members = makeVoters(size);
    expect(setOf(members).threshold).toBe(BigInt(needed));
    expect(setOf(members).size).toBe(size);
    expect(verdict({ votes: votesOf(members.slice(0, needed)) }, members)).toBe('none');
    expect(verdict({ votes: votesOf(members.slice(0, needed - 1)) }, members)).not.toBe('none');
  });

  it('count the weights of votes, not the number of voters', () => {
    const [heavy, ...light] = makeVoters(4);
    if (heavy === undefined) throw new Error('a voter is needed');
    const members = [{ ...heavy, weight: 10n }, ...light];
    expect(verdict({ votes: votesOf([heavy]) }, members)).toBe('none');
    expect(verdict({ votes: votesOf(light) }, members)).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('an authority that is listed twice has the sum of its weights', () => {
    const members = [...voters, ...voters.slice(0, 1), ...voters.slice(0, 1)];
    expect(setOf(members)).toMatchObject({ size: 4, threshold: 5n });
    expect(verdict({ votes: votesOf(voters.slice(1)) }, members)).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ votes: votesOf(voters.slice(0, 3)) }, members)).toBe('none');
  });

  it('a set without authorities, with weight zero, or with keys of another length is refused', () => {
    const publicKey = new Uint8Array(32);
    expect(codeOf(() => new AuthoritySet(0n, []))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => new AuthoritySet(0n, [{ publicKey, weight: 0n }]))).toBe('CHAIN_PROOF_INVALID');
    const short = { publicKey: publicKey.subarray(1), weight: 1n };
    expect(codeOf(() => new AuthoritySet(0n, [short]))).toBe('CHAIN_PROOF_INVALID');
    expect(() => new AuthoritySet(-1n, [{ publicKey, weight: 1n }])).toThrow(RangeError);
    expect(() => new AuthoritySet(2n ** 64n, [{ publicKey, weight: 1n }])).toThrow(RangeError);
  });
});

describe('votes', () => {
  it('of all, and of three of four authorities, prove the block; of two they do not', () => {
    expect(verdict({})).toBe('none');
    expect(verdict({ votes: [first, second, third] })).toBe('none');
    expect(verdict({ votes: [first, second] })).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ votes: [] })).toBe('CHAIN_PROOF_INVALID');
  });

  it('of keys outside the set refuse the whole justification', () => {
    expect(verdict({ votes: votesOf(strangers) })).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ votes: [...votesOf(voters), ...votesOf(strangers.slice(0, 1))] })).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
  });

  it.each([
    ['another set', { setId: SET_ID + 1n }],
    ['another round', { round: 4n }],
    ['nothing', { signature: new Uint8Array(64) }],
  ])('with one signature for %s refuse the whole justification', (_name, change) => {
    const votes = [first, second, third, { ...fourth, ...change }];
    expect(verdict({ votes })).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('of another set or round do not count', () => {
    expect(verdict({ setId: SET_ID - 1n })).toBe('CHAIN_FINALITY_UNPROVEN');
    const bytes = makeJustification({ target, setId: SET_ID, votes: votesOf(voters), round: 3n });
    bytes[0] = 4;
    expect(codeOf(() => verifyJustification(decodeJustification(bytes), setOf(voters)))).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
  });

  it('cast twice count once', () => {
    expect(verdict({ votes: [first, first, second, third] })).toBe('none');
    expect(verdict({ votes: [first, first, second, second] })).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ votes: Array(9).fill(first) })).toBe('CHAIN_PROOF_INVALID');
  });

  it('for two blocks count once, for three not at all', () => {
    const equivocation = [first, at(first, above)];
    expect(verdict({ votes: [...equivocation, second, third], ancestries: [above] })).toBe('none');
    expect(verdict({ votes: [...equivocation, second], ancestries: [above] })).toBe(
      'CHAIN_FINALITY_UNPROVEN',
    );
    const thrice = [...equivocation, at(first, higher), second, third];
    expect(verdict({ votes: thrice, ancestries: [above, higher] })).toBe('CHAIN_PROOF_INVALID');
  });

  it('a third different vote of one authority refuses the justification, a repeated vote does not', () => {
    const equivocation = [at(first, genesis), first];
    const again = [...equivocation, first, second, third];
    expect(verdict({ votes: again, ancestries: [target] })).toBe('none');
    const thrice = [...equivocation, at(first, above), second, third];
    expect(verdict({ votes: thrice, ancestries: [target, above] })).toBe('CHAIN_PROOF_INVALID');
  });

  it('a single vote below the target does not count', () => {
    const votes = [at(first, genesis), second, third];
    expect(verdict({ votes, ancestries: [target] })).toBe('CHAIN_FINALITY_UNPROVEN');
  });
});

describe('an authority that equivocated counts for every block', () => {
  const uncle = makeBlock(genesis, { stateRoot: new Uint8Array(32).fill(0xdd) });

  it.each<[string, Vote[], MadeBlock[]]>([
    ['one vote below and one for the target', [at(first, genesis), first, second, third], [target]],
    ['both votes above', [at(first, above), at(first, sibling), second, third], [above, sibling]],
    ['both votes below', [at(first, genesis), at(first, uncle), second, third], [target, uncle]],
    ['one vote below and one above', [at(first, genesis), at(first, above), second, third], [target, above]],
    ['its votes come first', [at(first, genesis), at(first, uncle), second, third], [target, uncle]],
    ['its votes come last', [second, third, at(first, genesis), at(first, uncle)], [target, uncle]],
  ])('a justification with exactly two thirds including it: %s', (_name, votes, ancestries) => {
    expect(verdict({ votes, ancestries })).toBe('none');
    const without = votes.filter(({ voter }) => voter !== third.voter);
    expect(verdict({ votes: without, ancestries })).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('also by two signatures of one precommit, as in finality-grandpa', () => {
    const other = secondSignature(first.voter, precommitMessage(genesis, 3n, SET_ID));
    const votes = [at(first, genesis), { ...at(first, genesis), signature: other }, second, third];
    expect(verdict({ votes, ancestries: [target] })).toBe('none');
  });

  it('but not for a block that has no first vote', () => {
    const votes = [at(first, genesis), first, at(second, genesis), at(third, genesis)];
    expect(verdict({ votes, ancestries: [target] })).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ target: genesis, votes, ancestries: [target] })).toBe('none');
  });

  it('but not for one vote that is repeated', () => {
    const votes = [at(first, genesis), at(first, genesis), second, third];
    expect(verdict({ votes, ancestries: [target] })).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it.each<[string, Partial<Vote>]>([
    ['its second signature is bad', { signature: new Uint8Array(64) }],
    ['its second vote is of another round', { round: 4n }],
    ['it is not in the set', { voter: strangers[0] ?? first.voter }],
  ])('but not when %s', (_name, change) => {
    const votes = [at(first, genesis), { ...first, ...change }, second, third];
    expect(verdict({ votes, ancestries: [target] })).toBe('CHAIN_FINALITY_UNPROVEN');
  });

  it('but not when its votes do not share the base block', () => {
    const votes = [at(first, uncle), first, second, third];
    expect(verdict({ votes, ancestries: [] })).toBe('CHAIN_PROOF_INVALID');
  });

  it('but its weight alone does not choose between two branches', () => {
    const members = [...voters, ...makeVoters(3, 9)];
    const [e1, e2, e3, e4, a1, a2, a3] = members.map((voter) => ({ voter, block: genesis }));
    if (!e1 || !e2 || !e3 || !e4 || !a1 || !a2 || !a3) throw new Error('seven voters are needed');
    const both = [e1, e2, e3, e4].flatMap((vote) => [at(vote, target), at(vote, uncle)]);
    const votes = [...both, at(a1, target), at(a2, uncle), at(a3, genesis)];
    const given = { votes, ancestries: [target, uncle] };
    expect(verdict(given, members)).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ ...given, target: uncle }, members)).toBe('CHAIN_FINALITY_UNPROVEN');
  });
});

describe('the target of a commit', () => {
  it('is the highest block with enough votes, not one below it', () => {
    const votes = [at(first, above), at(second, above), at(third, above), fourth];
    expect(verdict({ votes, ancestries: [above] })).toBe('CHAIN_FINALITY_UNPROVEN');
    expect(verdict({ target: above, votes, ancestries: [above] })).toBe('none');
  });
});

describe('ancestry', () => {
  it('votes for blocks above count when headers lead to them', () => {
    const votes = [first, at(second, above), at(third, higher), at(fourth, sibling)];
    expect(verdict({ votes, ancestries: [higher, sibling, above] })).toBe('none');
  });

  it.each<[string, Vote[], MadeBlock[]]>([
    ['a header is missing', [first, at(second, higher), third], [higher]],
    ['all are missing', [first, at(second, above), third], []],
    ['a header is not needed', [first, second, third], [above]],
    ['a header above the votes is not needed', [first, at(second, above), third], [above, higher]],
    ['a header comes twice', [first, at(second, above), third], [above, above]],
    ['the base itself comes along', [first, at(second, above), third], [target, above]],
    ['votes stand on two branches', [at(first, above), at(second, sibling), third], [above]],
    ['no vote stands on the target', [at(first, sibling), at(second, sibling), at(third, sibling)], []],
  ])('a justification is refused when %s', (_name, votes, ancestries) => {
    expect(verdict({ votes, ancestries })).toBe('CHAIN_PROOF_INVALID');
  });

  it('a vote or a target with the wrong number is refused', () => {
    const wrong = { ...above, number: above.number + 1 };
    expect(verdict({ votes: [first, at(second, wrong), third], ancestries: [above] })).toBe(
      'CHAIN_PROOF_INVALID',
    );
    expect(verdict({ target: { hash: target.hash, number: 1 } })).toBe('CHAIN_PROOF_INVALID');
    const jump = makeBlock(target, { number: 200 });
    expect(verdict({ votes: [first, at(second, jump), third], ancestries: [jump] })).toBe(
      'CHAIN_PROOF_INVALID',
    );
  });

  it('a commit for a block above all of its votes is refused', () => {
    expect(verdict({ target: above })).toBe('CHAIN_PROOF_INVALID');
  });
});

describe('bytes of a justification', () => {
  const bytes = unanimous(target, voters, SET_ID);
  it.each([
    ['cut', bytes.subarray(0, -1)],
    ['longer', Uint8Array.of(...bytes, 0)],
    ['none', new Uint8Array(0)],
    ['too many', new Uint8Array(MAX_JUSTIFICATION_BYTES + 1)],
    [
      'of a count that they do not hold',
      concatBytes(u64(1), target.hash, u32(100), Uint8Array.of(0xfe, 255, 255, 255)),
    ],
  ])('%s are refused', (_name, given) => {
    expect(codeOf(() => decodeJustification(given))).toBe('CHAIN_PROOF_INVALID');
  });
});

describe('the answer of grandpa_proveFinality', () => {
  const world = new GrandpaWorld([{ voters, blocks: 6 }]);
  const justification = world.justify(6);
  const proof = (unknown: readonly MadeBlock[], block = world.newest): string =>
    codeOf(() => {
      const decoded = decodeFinalityProof(makeFinalityProof(block, justification, unknown));
      if (decoded.hasHeaders) decoded.unknownHeaders();
    });
  const [b4, b5, b6] = [world.block(4), world.block(5), world.block(6)];

  it('holds headers that lead to the justified block, or none', () => {
    expect(proof([])).toBe('none');
    expect(proof([b4, b5, b6])).toBe('none');
  });

  it.each<[string, MadeBlock[]]>([
    ['that end below it', [b4, b5]],
    ['with a gap', [b4, b6]],
    ['in another order', [b5, b4, b6]],
    ['of another chain', [sibling]],
    ['above a forged number', [makeBlock(b5, { number: 9 })]],
  ])('is refused with headers %s', (_name, unknown) => {
    expect(proof(unknown)).toBe('CHAIN_PROOF_INVALID');
  });

  it('is refused when it names another block, is cut, longer, or too large', () => {
    expect(proof([], b5)).toBe('CHAIN_PROOF_INVALID');
    const bytes = makeFinalityProof(b6, justification, []);
    for (const given of [
      bytes.subarray(0, -1),
      Uint8Array.of(...bytes, 0),
      new Uint8Array(MAX_FINALITY_PROOF_BYTES + 1),
    ]) {
      expect(codeOf(() => decodeFinalityProof(given).unknownHeaders())).toBe('CHAIN_PROOF_INVALID');
    }
  });
});
