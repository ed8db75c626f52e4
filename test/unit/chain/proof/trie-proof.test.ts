import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../../src/bytes/concat.ts';
import { toHex } from '../../../../src/bytes/hex.ts';
import { decodeTrieNode } from '../../../../src/chain/proof/trie-node.ts';
import { defaultProofLimits, ProvenState } from '../../../../src/chain/proof/trie-proof.ts';
import { blake2b256 } from '../../../../src/crypto/blake2.ts';
import { codeOf } from '../../../support/thrown.ts';
import { TrieBuilder } from '../../../support/trie-builder.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
/** A proof of one node of our own making. */
const single = (node: Uint8Array): ProvenState => new ProvenState(blake2b256(node), [node]);

describe('trie nodes', () => {
  it.each([
    ['nothing', ''],
    ['the empty node and more', '0000'],
    ['an unknown kind', '0f'],
    ['the header of compact proofs', '01'],
    ['a leaf that is cut', '41'],
    ['padding that is not zero', '411104aa'],
    ['a value that is cut', '400812'],
    ['bytes after a leaf', '4004aa00'],
    ['a hash that is cut', `20${'11'.repeat(31)}`],
    ['a branch without children', '800000'],
    ['an empty child', '80010000'],
    ['a child longer than a hash', `80010084${'11'.repeat(33)}`],
    ['a child that is cut', '80010080'],
    ['a length in a longer form', '40010400'],
    ['more nibbles than any key has', `7f${'ff'.repeat(300)}00`],
  ])('%s is refused', (_name, hex) => {
    expect(codeOf(() => decodeTrieNode(bytes(hex)))).toBe('CHAIN_PROOF_INVALID');
  });

  it('reads every kind', () => {
    const hash = '22'.repeat(32);
    expect(decodeTrieNode(bytes('00'))).toEqual({ kind: 'empty' });
    expect(decodeTrieNode(bytes('430a1204aa'))).toEqual({
      kind: 'leaf',
      partialKey: bytes('0a0102'),
      value: { kind: 'inline', bytes: bytes('aa') },
    });
    expect(decodeTrieNode(bytes(`20${hash}`))).toMatchObject({ kind: 'leaf', value: { kind: 'hashed' } });
    expect(decodeTrieNode(bytes(`800180 80${hash} 04 00`.replaceAll(' ', '')))).toMatchObject({
      kind: 'branch',
      value: undefined,
    });
    expect(decodeTrieNode(bytes(`c0010004aa80${hash}`))).toMatchObject({ value: { kind: 'inline' } });
    expect(decodeTrieNode(bytes(`100100${hash}80${hash}`))).toMatchObject({ value: { kind: 'hashed' } });
  });

  it.each([62, 63, 64, 316, 317, 318, 319])('reads a partial key of %i nibbles', (count) => {
    const key = 'ab'.repeat(160).slice(0, count + (count % 2));
    const { root } = new TrieBuilder(new Map([[key, text('v')]]), 0);
    const [node] = new TrieBuilder(new Map([[key, text('v')]]), 0).readProof([key]);
    expect(blake2b256(node ?? text(''))).toEqual(root);
    expect(decodeTrieNode(node ?? text(''))).toMatchObject({ partialKey: { length: key.length } });
  });
});

const content = new Map([
  ['aa', text('on a branch')],
  ['aa01', new Uint8Array(100).fill(1)],
  ['aa02', text('small')],
  ['aa0203', new Uint8Array(5000).fill(3)],
  ['ab', text('beside')],
  ['ff00', text('far')],
]);

describe.each([0, 1] as const)('storage of state version %i', (version) => {
  const builder = new TrieBuilder(content, version);
  const full = new ProvenState(builder.root, builder.readProof([...content.keys()]));

  it('every value and every absence is proven', () => {
    for (const [key, value] of content) expect(full.value(bytes(key))).toEqual(value);
    for (const key of ['', 'aa03', 'aa0201', 'ac', 'ff', 'ff0000', 'aa010101']) {
      expect(full.value(bytes(key))).toBeUndefined();
    }
  });

  it('entries below a prefix come in order, including the entry of the prefix itself', () => {
    const keys = (prefix: string): string[] => full.entries(bytes(prefix)).map(([key]) => toHex(key));
    expect(keys('')).toEqual(['aa', 'aa01', 'aa02', 'aa0203', 'ab', 'ff00']);
    expect(keys('aa')).toEqual(['aa', 'aa01', 'aa02', 'aa0203']);
    expect(keys('aa0203')).toEqual(['aa0203']);
    expect(keys('ff')).toEqual(['ff00']);
    expect(keys('bb')).toEqual([]);
    expect(keys('ff0001')).toEqual([]);
  });

  it('a key that the proof leaves out is an error, not a shorter list', () => {
    const partial = new ProvenState(builder.root, builder.readProof(['aa', 'aa01', 'aa02']));
    expect(partial.value(bytes('aa02'))).toEqual(text('small'));
    expect(codeOf(() => partial.entries(bytes('aa')))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => partial.value(bytes('aa0203')))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => new ProvenState(builder.root, []).value(bytes('aa')))).toBe('CHAIN_PROOF_INVALID');
    expect(
      codeOf(() => new ProvenState(new Uint8Array(32), builder.readProof(['aa'])).entries(bytes(''))),
    ).toBe('CHAIN_PROOF_INVALID');
  });
});

describe('a storage proof', () => {
  it('of the empty trie proves that there are no entries', () => {
    const empty = new TrieBuilder(new Map(), 1);
    const state = new ProvenState(empty.root, empty.readProof([]));
    expect(toHex(empty.root)).toBe('03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314');
    expect(state.value(bytes('aa'))).toBeUndefined();
    expect(state.entries(bytes(''))).toEqual([]);
  });

  it('is refused above its bounds', () => {
    const builder = new TrieBuilder(content, 0);
    const proof = builder.readProof([...content.keys()]);
    const make = (limits: Partial<typeof defaultProofLimits>): ProvenState =>
      new ProvenState(builder.root, proof, { ...defaultProofLimits, ...limits });
    expect(codeOf(() => make({ maxNodes: 2 }))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => make({ maxBytes: 5000 }))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => make({ maxVisits: 5 }).entries(bytes('')))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => make({ maxKeyBytes: 2 }).entries(bytes('')))).toBe('CHAIN_PROOF_INVALID');
    const node = (length: number): Uint8Array[] => [...proof, new Uint8Array(length)];
    expect(codeOf(() => new ProvenState(builder.root, node(1024 * 1024 + 1)))).toBe('CHAIN_PROOF_INVALID');
    expect(codeOf(() => new ProvenState(builder.root, node(1024 * 1024)))).toBe('none');
    expect(() => new ProvenState(new Uint8Array(31), proof)).toThrow(RangeError);
  });

  it('gives the same result when its hashing is done in parts', async () => {
    const builder = new TrieBuilder(content, 1);
    const proof = [...builder.readProof([...content.keys()]), new Uint8Array(600_000), new Uint8Array(1)];
    let turns = 0;
    const turn = setImmediate(() => {
      turns += 1;
    });
    const state = await ProvenState.hashing(builder.root, proof);
    clearImmediate(turn);
    expect(turns).toBe(1);
    expect(state.entries(bytes(''))).toEqual(new ProvenState(builder.root, proof).entries(bytes('')));
  });

  it('is not affected by unneeded nodes', () => {
    const builder = new TrieBuilder(content, 1);
    const proof = [text('rubbish'), ...builder.readProof([...content.keys()]).toReversed(), text('')];
    expect(new ProvenState(builder.root, proof).entries(bytes(''))).toHaveLength(content.size);
  });

  it('with endlessly shared branches costs no more than the bound', () => {
    let node = bytes('4004aa');
    const proof = [node];
    for (let level = 0; level < 40; level += 1) {
      const child = node.length < 32 ? node : blake2b256(node);
      const branch = concatBytes(
        bytes('80ffff'),
        ...Array.from({ length: 16 }, () => concatBytes(Uint8Array.of(child.length << 2), child)),
      );
      // A length of 32 is 0x80 in compact form, as every length below 64 is four times itself.
      proof.push(branch);
      node = branch;
    }
    const state = new ProvenState(blake2b256(node), proof);
    expect(codeOf(() => state.entries(bytes('')))).toBe('CHAIN_PROOF_INVALID');
  });

  it('with a key of half a byte, or an empty node below another, is refused', () => {
    expect(codeOf(() => single(bytes('410104aa')).entries(bytes('')))).toBe('CHAIN_PROOF_INVALID');
    const child = bytes('80010004'.concat('00'));
    expect(codeOf(() => single(child).entries(bytes('')))).toBe('CHAIN_PROOF_INVALID');
  });
});
