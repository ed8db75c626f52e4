import { calculate_state_root, decode_proof } from '@acala-network/chopsticks-executor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateTrie } from '../../../devnet/chain/trie/state-trie.ts';
import type { StateVersion } from '../../../devnet/chain/trie/trie-node.ts';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { TrieReader } from '../../support/trie-reader.ts';

const versions: readonly StateVersion[] = [0, 1];

/** Few different bytes, so that keys share prefixes and are prefixes of each other. */
const key = fc
  .array(fc.constantFrom('00', '01', '10', 'ab', 'ff'), { maxLength: 6 })
  .map((bytes) => `0x${bytes.join('')}`);
const value = fc.uint8Array({ maxLength: 70 }).map(toPrefixedHex);
const states = fc.array(fc.tuple(key, value), { maxLength: 40 }).map((entries) => new Map(entries));

/** The root by smoldot's implementation, compiled to WebAssembly. */
async function foreignRoot(version: StateVersion, state: ReadonlyMap<string, string>): Promise<unknown> {
  const root: unknown = await calculate_state_root([...state], version);
  return root;
}

describe.each(versions)('the trie in state version %i', (version) => {
  it('has the known root when it is empty', () => {
    expect(StateTrie.empty(version).root).toBe(
      '0x03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314',
    );
  });

  it('has the root that smoldot computes', async () => {
    await fc.assert(
      fc.asyncProperty(states, async (state) => {
        expect(StateTrie.of(version, state).root).toBe(await foreignRoot(version, state));
      }),
      { numRuns: 300 },
    );
  });

  it.each([1, 31, 32, 33, 62, 63, 64, 65, 159, 160, 161, 318, 319, 600])(
    'has the root that smoldot computes for keys of %i bytes',
    async (length) => {
      const long = `0x${'5a'.repeat(length)}`;
      const state = new Map([
        [long, '0x01'],
        [`${long}00`, `0x${'22'.repeat(32)}`],
        [`${long}17`, `0x${'33'.repeat(33)}`],
        [`${long}1733`, `0x${'44'.repeat(20_000)}`],
      ]);
      for (const present of [1, 2, 3, 4]) {
        const part = new Map([...state].slice(0, present));
        expect(StateTrie.of(version, part).root).toBe(await foreignRoot(version, part));
      }
    },
  );

  it('is the same when it is changed step by step and when it is built at once', () => {
    fc.assert(
      fc.property(fc.array(states, { minLength: 2, maxLength: 4 }), (steps) => {
        let before = new Map<string, string>();
        let trie = StateTrie.empty(version);
        for (const after of steps) {
          trie = trie.advanced(before, after);
          before = after;
        }
        expect(trie.root).toBe(StateTrie.of(version, before).root);
      }),
    );
  });

  it('proves present and absent keys by exactly the nodes that a lookup reads', () => {
    fc.assert(
      fc.property(states, fc.array(key, { minLength: 1, maxLength: 8 }), (state, asked) => {
        fc.pre(state.size > 0);
        const trie = StateTrie.of(version, state);
        const proof = trie.readProof(asked);
        const reader = new TrieReader(trie.root, proof);
        for (const one of asked) {
          const expected = state.get(one);
          expect(reader.read(one)).toEqual(
            expected === undefined ? { kind: 'absent' } : { kind: 'value', hex: expected },
          );
        }
        expect(proof.map(toHex)).toEqual([...reader.used].sort());
      }),
      { numRuns: 300 },
    );
  });

  it('makes proofs that smoldot accepts', async () => {
    await fc.assert(
      fc.asyncProperty(states, async (state) => {
        fc.pre(state.size > 0);
        const trie = StateTrie.of(version, state);
        const decoded: [string, string][] = await decode_proof(
          trie.root,
          trie.readProof([...state.keys()]).map(toPrefixedHex),
        );
        expect(new Map(decoded)).toEqual(state);
      }),
      { numRuns: 100 },
    );
  });
});

it('a proof of a prefix and all keys below it is invalid without any one of its nodes', () => {
  const prefix = `0x${'ab'.repeat(16)}`;
  const state = new Map(
    Array.from({ length: 60 }, (_, n) => {
      const place = toHex(Uint8Array.of((n * 37) & 0xff, n, 7));
      return [n % 3 === 0 ? `0x${place}` : `${prefix}${place}`, `0x${'11'.repeat(n * 3)}`] as const;
    }),
  );
  const trie = StateTrie.of(1, state);
  const keys = [...state.keys()].filter((one) => one.startsWith(prefix));
  const asked = [prefix, ...keys];
  const proof = trie.readProof(asked);
  for (const dropped of proof) {
    const rest = proof.filter((node) => node !== dropped);
    const reader = new TrieReader(trie.root, rest);
    expect(asked.some((one) => reader.read(one).kind === 'missing')).toBe(true);
  }
});
