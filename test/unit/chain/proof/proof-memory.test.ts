import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../../../src/bytes/hex.ts';
import { ProofMemory } from '../../../../src/chain/proof/proof-memory.ts';
import { defaultProofLimits, ProvenState } from '../../../../src/chain/proof/trie-proof.ts';
import { codeOf } from '../../../support/thrown.ts';
import { TrieBuilder, type TrieContent } from '../../../support/trie-builder.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const copyOf = (nodes: readonly Uint8Array[]): readonly Uint8Array[] =>
  nodes.map((node) => node.with(0, node[0] ?? 0));

/** Records below `aa`, and others; values above 32 bytes are nodes of their own in state version 1. */
const content: TrieContent = new Map([
  ...Array.from(
    { length: 20 },
    (_, n) => [`aa${n.toString(16).padStart(8, '0')}`, new Uint8Array(300).fill(n)] as const,
  ),
  ['ab', new Uint8Array(200).fill(1)],
  ['ff00', bytes('01')],
]);
const ways = ['ab', 'ff00', 'aa'];
/** Also the key of a record that is not there at first. */
const whole = [...ways, ...content.keys(), 'aa00000099'];
const withValue = (key: string, value: Uint8Array): TrieContent => new Map([...content, [key, value]]);

const stateOf = (
  builder: TrieBuilder,
  keys: readonly string[],
  memory: ProofMemory,
  change: (proof: readonly Uint8Array[]) => readonly Uint8Array[] = copyOf,
): ProvenState => new ProvenState(builder.root, change(builder.readProof(keys)), defaultProofLimits, memory);

/** Everything that is read of a state, and lets the memory keep it. */
function read(state: ProvenState): unknown {
  const result = {
    ab: state.value(bytes('ab')),
    ff00: state.value(bytes('ff00')),
    records: state.entries(bytes('aa')),
  };
  state.remember();
  return result;
}

/** The same without a memory. */
const expected = (builder: TrieBuilder): unknown => read(stateOf(builder, whole, new ProofMemory()));

/** All changes of one bit, one in each byte of the node. */
const changesOf = (node: Uint8Array): readonly Uint8Array[] =>
  [...node.keys()].map((at) => node.with(at, (node[at] ?? 0) ^ (1 << (at % 8))));

describe.each([0, 1] as const)('proofs of one state after another, of version %i', (version) => {
  const first = new TrieBuilder(content, version);
  /** Only a value that belongs to no record differs. */
  const quiet = new TrieBuilder(withValue('ff00', bytes('02')), version);
  /** One record differs. */
  const changed = new TrieBuilder(withValue('aa00000007', new Uint8Array(300).fill(77)), version);
  const filled = (): ProofMemory => {
    const memory = new ProofMemory();
    expect(read(stateOf(first, whole, memory))).toEqual(expected(first));
    return memory;
  };

  it('need no nodes of records that did not change', () => {
    const memory = new ProofMemory();
    expect(memory.hasEntries).toBe(false);
    expect(codeOf(() => stateOf(first, ways, memory).entries(bytes('aa')))).toBe('CHAIN_PROOF_INVALID');
    expect(stateOf(first, ways, memory).knowsEntries(bytes('aa'))).toBe(false);
    read(stateOf(first, whole, memory));
    const state = stateOf(quiet, ways, memory);
    expect([memory.hasEntries, state.knowsEntries(bytes('aa'))]).toEqual([true, true]);
    expect(read(state)).toEqual(expected(quiet));
    // The same list, so that what was made of it need not be made again.
    expect(state.entries(bytes('aa'))).toBe(stateOf(first, ways, memory).entries(bytes('aa')));
  });

  it('need the nodes of the records when one of them changed, came or went', () => {
    const without = new Map([...content].filter(([key]) => key !== 'aa00000003'));
    const more = withValue('aa00000099', new Uint8Array(300));
    for (const builder of [changed, new TrieBuilder(without, version), new TrieBuilder(more, version)]) {
      const memory = filled();
      const short = stateOf(builder, ways, memory);
      expect(short.knowsEntries(bytes('aa'))).toBe(false);
      expect(codeOf(() => short.entries(bytes('aa')))).toBe('CHAIN_PROOF_INVALID');
      expect(read(stateOf(builder, whole, memory))).toEqual(expected(builder));
    }
  });

  it('hash and decode no node again', () => {
    const memory = filled();
    for (const node of copyOf(first.readProof(whole))) {
      const known = memory.preimageOf(node);
      expect(memory.preimageOf(node.with(0, node[0] ?? 0))).toBe(known);
      expect(known.bytes).not.toBe(node);
    }
  });

  it('refuse every changed byte of a node that was proven before', () => {
    const nodes = quiet.readProof(ways);
    for (const [index, node] of nodes.entries()) {
      for (const other of changesOf(node)) {
        const state = stateOf(quiet, ways, filledOnce, (proof) => proof.with(index, other));
        expect(codeOf(() => read(state))).toBe('CHAIN_PROOF_INVALID');
      }
    }
  });
  const filledOnce = filled();

  it('refuse a changed byte of an unchanged record beside a changed one', () => {
    const memory = filled();
    const nodes = changed.readProof(whole);
    for (const [index, node] of nodes.entries()) {
      const at = (index * 7) % node.length;
      const state = stateOf(changed, whole, memory, (proof) =>
        proof.with(index, node.with(at, (node[at] ?? 0) ^ 1)),
      );
      expect(codeOf(() => read(state))).toBe('CHAIN_PROOF_INVALID');
    }
    expect(read(stateOf(changed, whole, memory))).toEqual(expected(changed));
  });

  it('keep nothing of a proof that was refused, nor nodes that nothing needs', () => {
    const memory = filled();
    const junk = [new Uint8Array(5000).fill(1), new Uint8Array(40), new Uint8Array(0)];
    const proof = (given: readonly Uint8Array[]) => [...junk, ...given];
    read(stateOf(quiet, ways, memory, proof));
    const refused = stateOf(changed, ways, memory, proof);
    expect(codeOf(() => read(refused))).toBe('CHAIN_PROOF_INVALID');
    for (const node of junk) expect(memory.preimageOf(node)).not.toBe(memory.preimageOf(node));
    expect(read(stateOf(quiet, ways, memory))).toEqual(expected(quiet));
  });

  it('do not take entries of one place for those of another', () => {
    // Below aa and ba is the same node, to the byte.
    const twin = new Map(
      ['aa', 'ba'].flatMap((place) =>
        Array.from({ length: 3 }, (_, n) => [`${place}0${n}`, new Uint8Array(100).fill(n)] as const),
      ),
    );
    const builder = new TrieBuilder(twin, version);
    const memory = new ProofMemory();
    for (const place of ['aa', 'ba', 'aa']) {
      const state = stateOf(builder, [...twin.keys()], memory);
      expect(state.entries(bytes(place)).map(([key]) => toHex(key))).toEqual(
        [0, 1, 2].map((n) => `${place}0${n}`),
      );
    }
    // Records that all went away are none, whatever is remembered.
    const gone = stateOf(new TrieBuilder(new Map([['cc', bytes('01')]]), version), ['aa'], memory);
    expect([gone.knowsEntries(bytes('aa')), gone.entries(bytes('aa'))]).toEqual([true, []]);
  });
});

describe('with a memory', () => {
  it('any series of states reads as without one, whatever was changed in the proofs before', () => {
    const key = fc.constantFrom('aa', 'aa00', 'aa01', 'aa0102', 'aaff', 'ab', 'ff00', 'ff01');
    const value = fc.uint8Array({ maxLength: 70 });
    const content = fc
      .array(fc.tuple(key, value), { minLength: 1, maxLength: 8 })
      .map((pairs) => new Map(pairs));
    const flip = fc.record({ node: fc.nat(), at: fc.nat() });
    const step = fc.record({
      content,
      version: fc.constantFrom(0, 1),
      lies: fc.array(flip, { maxLength: 3 }),
    });
    const keys = ['aa', 'aa00', 'aa01', 'aa0102', 'aaff', 'ab', 'ff00', 'ff01'];
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), (steps) => {
        const memory = new ProofMemory();
        for (const { content, version, lies } of steps) {
          const builder = new TrieBuilder(content, version);
          for (const { node: which, at } of lies) {
            const proof = builder.readProof(keys);
            const index = which % proof.length;
            const node = proof[index] ?? new Uint8Array(1);
            const changed = proof.with(index, node.with(at % node.length, (node[at % node.length] ?? 0) ^ 1));
            codeOf(() => read(new ProvenState(builder.root, changed, defaultProofLimits, memory)));
          }
          expect(read(stateOf(builder, keys, memory))).toEqual(
            read(stateOf(builder, keys, new ProofMemory())),
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});
