import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, equalBytes } from '../../src/bytes/concat.ts';
import { toHex, tryFromHex } from '../../src/bytes/hex.ts';
import { authorityChange } from '../../src/chain/proof/authority-change.ts';
import { AuthoritySet } from '../../src/chain/proof/authority-set.ts';
import { decodeFinalityProof } from '../../src/chain/proof/finality-proof.ts';
import { FinalityTracker } from '../../src/chain/proof/finality-tracker.ts';
import { decodeHeader, headerFromJson } from '../../src/chain/proof/header.ts';
import { decodeJustification, verifyJustification } from '../../src/chain/proof/justification.ts';
import { decodeTrieNode } from '../../src/chain/proof/trie-node.ts';
import { ProvenState } from '../../src/chain/proof/trie-proof.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import {
  GrandpaWorld,
  type MadeBlock,
  makeBlock,
  makeJustification,
  makeVoters,
  scheduledChange,
  unanimous,
  type Voter,
} from '../support/grandpa-world.ts';
import { trieContent } from '../support/trie-arbitrary.ts';
import { TrieBuilder, type TrieContent } from '../support/trie-builder.ts';

const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 1_000_000);
console.log(`chain proofs: seed ${seed}`);

const bytesOf = (hex: string): Uint8Array => tryFromHex(hex) ?? new Uint8Array(0);

/** What a call gives; `undefined` when it refuses in our own words. Any other error goes through. */
function accepted<Value>(call: () => Value): { readonly value: Value } | undefined {
  try {
    return { value: call() };
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'CHAIN_PROOF_INVALID') return undefined;
    if (error instanceof LatchkeyError && error.code === 'CHAIN_FINALITY_UNPROVEN') return undefined;
    throw error;
  }
}

type Entries = ReturnType<ProvenState['entries']>;
/** Values as hex: comparing bytes element by element takes the test runner most of its time. */
const below = (content: TrieContent, prefix: string): readonly (readonly [string, string])[] =>
  [...content]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, toHex(value)]);
const readable = (entries: Entries) => entries.map(([key, value]) => [toHex(key), toHex(value)]);
const hexOf = (value: Uint8Array | undefined): string => (value === undefined ? 'absent' : toHex(value));

const version = fc.constantFrom<0 | 1>(0, 1);
const pick = fc.nat({ max: 2 ** 30 });
const prefixOf = (content: TrieContent, at: number, length: number): string => {
  const keys = [...content.keys()];
  const key = keys[at % Math.max(keys.length, 1)] ?? '';
  return key.slice(0, 2 * (length % (key.length / 2 + 1)));
};

describe('random tries', () => {
  it('every entry is proven, every prefix is complete, and every absent key is proven absent', () => {
    const absent = fc.uint8Array({ maxLength: 6 });
    fc.assert(
      fc.property(trieContent, version, pick, pick, absent, (content, stateVersion, at, length, other) => {
        const builder = new TrieBuilder(content, stateVersion);
        const prefix = prefixOf(content, at, length);
        const state = new ProvenState(builder.root, builder.readProof([...content.keys(), toHex(other)]));
        for (const [key, value] of content) expect(hexOf(state.value(bytesOf(key)))).toBe(hexOf(value));
        expect(readable(state.entries(bytesOf(prefix)))).toEqual(below(content, prefix));
        expect(hexOf(state.value(other))).toBe(hexOf(content.get(toHex(other))));
        // The prefix and its keys alone, as a reader asks for them.
        const keys = below(content, prefix).map(([key]) => key);
        const asked = new ProvenState(builder.root, builder.readProof([prefix, ...keys]));
        expect(readable(asked.entries(bytesOf(prefix)))).toEqual(below(content, prefix));
        // And one absent key alone.
        const single = new ProvenState(builder.root, builder.readProof([toHex(other)]));
        expect(hexOf(single.value(other))).toBe(hexOf(content.get(toHex(other))));
      }),
      { seed, numRuns: 500 },
    );
  });

  it('a proof cannot hide a key by leaving it out', () => {
    fc.assert(
      fc.property(trieContent, version, pick, pick, pick, (content, stateVersion, at, length, hidden) => {
        const builder = new TrieBuilder(content, stateVersion);
        const prefix = prefixOf(content, at, length);
        const keys = below(content, prefix).map(([key]) => key);
        const kept = keys.filter((_, index) => index !== hidden % Math.max(keys.length, 1));
        const state = new ProvenState(builder.root, builder.readProof([prefix, ...kept]));
        const read = accepted(() => readable(state.entries(bytesOf(prefix))));
        // A small neighbour is stored inline, so the proof contains it anyway; then nothing is missing.
        if (read !== undefined) expect(read.value).toEqual(below(content, prefix));
      }),
      { seed, numRuns: 500 },
    );
  });

  it('an altered proof is refused or proves the same', () => {
    const how = fc.constantFrom('drop', 'flip', 'cut', 'extend', 'swap', 'replace', 'double');
    let refused = 0;
    fc.assert(
      fc.property(trieContent, version, how, pick, pick, (content, stateVersion, change, at, where) => {
        const builder = new TrieBuilder(content, stateVersion);
        const proof = [...builder.readProof([...content.keys()])];
        const index = at % proof.length;
        const node = proof[index] ?? new Uint8Array(0);
        const flipped = new Uint8Array(node);
        const bit = where % (8 * node.length);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const changed = {
          drop: [],
          flip: [flipped],
          cut: [node.subarray(0, where % node.length)],
          extend: [concatBytes(node, Uint8Array.of(where & 0xff))],
          swap: [proof[where % proof.length] ?? node],
          replace: [new TrieBuilder(new Map([['aa', node]]), stateVersion).readProof(['aa'])[0] ?? node],
          double: [node, node],
        };
        proof.splice(index, 1, ...changed[change]);
        const state = new ProvenState(builder.root, proof);
        const read = accepted(() => readable(state.entries(new Uint8Array(0))));
        if (read === undefined) refused += 1;
        else expect(read.value).toEqual(below(content, ''));
        for (const [key, value] of content) {
          const one = accepted(() => state.value(bytesOf(key)));
          if (one !== undefined) expect(hexOf(one.value)).toBe(hexOf(value));
        }
      }),
      { seed, numRuns: 1000 },
    );
    // The control: most changes hit something.
    expect(refused).toBeGreaterThan(400);
  });

  it('a proof without one of its nodes proves no complete list', () => {
    fc.assert(
      fc.property(trieContent, version, (content, stateVersion) => {
        const builder = new TrieBuilder(content, stateVersion);
        const proof = builder.readProof([...content.keys()]);
        for (const dropped of proof) {
          const state = new ProvenState(
            builder.root,
            proof.filter((node) => node !== dropped),
          );
          expect(accepted(() => state.entries(new Uint8Array(0)))).toBeUndefined();
        }
      }),
      { seed, numRuns: 100 },
    );
  });
});

const voters = makeVoters(4);
const authorities = new AuthoritySet(
  5n,
  voters.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
);

describe('GRANDPA', () => {
  const target = makeBlock(makeBlock(undefined, { number: 99 }));
  const above = makeBlock(target);

  it('a justification with a flipped bit is refused', () => {
    const votes = voters.map((voter, index) => ({ voter, block: index < 2 ? target : above }));
    const genuine = makeJustification({ target, votes, setId: 5n, ancestries: [above] });
    verifyJustification(decodeJustification(genuine), authorities);
    fc.assert(
      fc.property(fc.nat({ max: 8 * genuine.length - 1 }), (bit) => {
        const forged = new Uint8Array(genuine);
        forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(accepted(() => verifyJustification(decodeJustification(forged), authorities))).toBeUndefined();
      }),
      { seed, numRuns: 400 },
    );
  });

  it('counts exactly the weight of the authorities that vote for the target or above, or equivocate', () => {
    const weights = fc.array(fc.bigInt({ min: 1n, max: 9n }), { minLength: 1, maxLength: 7 });
    const cast = fc.array(fc.tuple(fc.nat({ max: 6 }), fc.boolean()), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(weights, cast, (given, choices) => {
        const members = makeVoters(given.length).map((voter, index) => ({
          ...voter,
          weight: given[index] ?? 1n,
        }));
        const votes = choices.flatMap(([index, higher]) => {
          const voter = members[index % members.length];
          return voter === undefined ? [] : [{ voter, block: higher ? above : target }];
        });
        const set = new AuthoritySet(
          5n,
          members.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
        );
        const hasBase = votes.some(({ block }) => block === target);
        const ancestries = hasBase && votes.some(({ block }) => block === above) ? [above] : [];
        const commit = hasBase ? target : above;
        const bytes = makeJustification({ target: commit, votes, setId: 5n, ancestries });
        const blocksOf = (voter: Voter): readonly MadeBlock[] =>
          votes.filter((vote) => vote.voter === voter).map(({ block }) => block);
        const hasEquivocated = (voter: Voter): boolean => new Set(blocksOf(voter)).size > 1;
        const isEnough = (counts: (voter: Voter) => boolean): boolean =>
          3n * members.filter(counts).reduce((sum, { weight }) => sum + weight, 0n) >
          2n * given.reduce((sum, one) => sum + one, 0n);
        const isAboveFinal =
          members.some((voter) => blocksOf(voter)[0] === above) &&
          isEnough((voter) => hasEquivocated(voter) || blocksOf(voter)[0] === above);
        const isFinal =
          isEnough((voter) => blocksOf(voter).length > 0) && isAboveFinal === (commit === above);
        const enough = isFinal && votes.length <= 2 * set.size;
        expect(accepted(() => verifyJustification(decodeJustification(bytes), set)) !== undefined).toBe(
          enough,
        );
      }),
      { seed, numRuns: 200 },
    );
  });

  it('a tracker that gets altered answers ends at a genuine block or does not advance', async () => {
    const chain = new GrandpaWorld([1, 2, 3].map((family) => ({ voters: makeVoters(4, family), blocks: 3 })));
    const alter = (bytes: Uint8Array, random: number): Uint8Array => {
      const forged = new Uint8Array(bytes);
      const bit = random % (8 * bytes.length);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return forged;
    };
    const check = async (
      answers: readonly { readonly block: number; readonly flip: number | null }[],
    ): Promise<void> => {
      const tracker = new FinalityTracker(chain.checkpoint());
      let turn = 0;
      const source = {
        proveFinality: async (number: number) => {
          const answer = answers[turn % answers.length];
          turn += 1;
          if (answer === undefined) return undefined;
          const proof = chain.proofOf(answer.block === 0 ? number : answer.block);
          return answer.flip === null ? proof : alter(proof, answer.flip);
        },
        header: (hash: Parameters<GrandpaWorld['header']>[0]) => chain.header(hash),
      };
      let highest = 0;
      for (let call = 0; call < 4; call += 1) {
        try {
          await tracker.advance(source, chain.newest);
        } catch (error) {
          if (!(error instanceof LatchkeyError)) throw error;
        }
        const { newest } = tracker;
        if (newest !== undefined) expect(newest.hash).toEqual(chain.block(newest.number).hash);
        expect(newest?.number ?? 0).toBeGreaterThanOrEqual(highest);
        highest = newest?.number ?? 0;
        // The last set is in office up to the end, and beyond.
        const handovers = chain.lastBlocks.slice(0, -1).filter((last) => last <= highest);
        expect(tracker.authoritySetId).toBe(BigInt(handovers.length));
      }
      expect(turn).toBeLessThan(40);
    };
    const answer = fc.record({ block: fc.nat({ max: 9 }), flip: fc.option(pick, { freq: 2 }) });
    await fc.assert(fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 6 }), check), {
      seed,
      numRuns: 150,
    });
  });
});

describe('garbage', () => {
  const genuine = [
    new GrandpaWorld([{ voters, blocks: 4 }]).proofOf(1),
    unanimous(makeBlock(undefined), voters, 5n),
    makeBlock(undefined, { logs: [scheduledChange(voters)] }).encoded,
    ...new TrieBuilder(
      new Map([
        ['aa', new Uint8Array(40)],
        ['ab', new Uint8Array(3)],
      ]),
      1,
    ).readProof(['aa', 'ab']),
  ];
  /** Random bytes, and genuine ones with a stretch replaced by random bytes. */
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .tuple(fc.constantFrom(...genuine), pick, pick, fc.uint8Array({ maxLength: 12 }))
      .map(([bytes, at, cut, put]) => {
        const from = at % bytes.length;
        return concatBytes(
          bytes.subarray(0, from),
          put,
          bytes.subarray(Math.min(bytes.length, from + (cut % 12))),
        );
      }),
  );

  it('is refused with a typed error by every decoder', () => {
    fc.assert(
      fc.property(garbage, (bytes) => {
        accepted(() => decodeTrieNode(bytes));
        accepted(() => decodeFinalityProof(bytes));
        accepted(() => verifyJustification(decodeJustification(bytes), authorities));
        const header = accepted(() => decodeHeader(bytes));
        if (header !== undefined) {
          expect(equalBytes(header.value.hash, blake2b256(bytes))).toBe(true);
          accepted(() => authorityChange(header.value));
        }
        const state = new ProvenState(blake2b256(bytes), [bytes]);
        accepted(() => state.entries(new Uint8Array(0)));
        accepted(() => state.value(Uint8Array.of(0xaa)));
      }),
      { seed, numRuns: 5000 },
    );
  });

  it('in JSON is refused too', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), (value) => {
        accepted(() => headerFromJson(value));
        accepted(() => headerFromJson({ digest: { logs: [value] }, number: '0x1', parentHash: value }));
      }),
      { seed, numRuns: 1000 },
    );
  });
});
