import {
  calculate_state_root as calculateStateRoot,
  create_proof as createProof,
  decode_proof as decodeProof,
} from '@acala-network/chopsticks-executor';
import { ed25519 } from '@noble/curves/ed25519.js';
import { TypeRegistry } from '@polkadot/types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../../src/bytes/concat.ts';
import { toHex, toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { authorityChange } from '../../src/chain/proof/authority-change.ts';
import { AuthoritySet } from '../../src/chain/proof/authority-set.ts';
import { decodeFinalityProof } from '../../src/chain/proof/finality-proof.ts';
import { decodeHeader, headerFromJson } from '../../src/chain/proof/header.ts';
import { decodeJustification, verifyJustification } from '../../src/chain/proof/justification.ts';
import { ProvenState } from '../../src/chain/proof/trie-proof.ts';
import { Ed25519ChainKey } from '../../src/crypto/ed25519-zip215.ts';
import {
  GrandpaWorld,
  headerJson,
  makeBlock,
  makeJustification,
  makeVoters,
  precommitMessage,
  scheduledChange,
} from '../support/grandpa-world.ts';
import { trieContent } from '../support/trie-arbitrary.ts';
import { TrieBuilder, type TrieContent } from '../support/trie-builder.ts';

const seed = Number(process.env['LATCHKEY_SEED'] ?? Date.now() % 1_000_000);
console.log(`chain proofs beside other implementations: seed ${seed}`);

const pairsOf = (content: TrieContent): [string, string][] =>
  [...content].map(([key, value]) => [`0x${key}`, toPrefixedHex(value)]);
const bytesOf = (hex: string): Uint8Array => tryFromHex(hex) ?? new Uint8Array(0);

describe('tries compared with smoldot (chopsticks-executor)', () => {
  it('roots of random tries of both state versions are equal', async () => {
    const check = async (content: TrieContent, version: 0 | 1): Promise<void> => {
      const root: unknown = await calculateStateRoot(pairsOf(content), version);
      expect(toPrefixedHex(new TrieBuilder(content, version).root)).toBe(root);
    };
    await fc.assert(fc.asyncProperty(trieContent, fc.constantFrom(0, 1), check), { seed, numRuns: 300 });
  });

  it('smoldot reads the same values from our proofs', async () => {
    const check = async (content: TrieContent, version: 0 | 1): Promise<void> => {
      const builder = new TrieBuilder(content, version);
      const proof = builder.readProof([...content.keys()]);
      const theirs: unknown = await decodeProof(toPrefixedHex(builder.root), proof.map(toPrefixedHex));
      const ours = new ProvenState(builder.root, proof)
        .entries(new Uint8Array(0))
        .map(([key, value]) => [toPrefixedHex(key), toPrefixedHex(value)]);
      const sort = (pairs: unknown): unknown =>
        Array.isArray(pairs) ? [...pairs].map(String).sort() : pairs;
      expect(sort(theirs)).toEqual(sort(ours));
    };
    await fc.assert(
      fc.asyncProperty(
        trieContent.filter(({ size }) => size > 0),
        fc.constantFrom(0, 1),
        check,
      ),
      { seed, numRuns: 200 },
    );
  });

  it('we read the original values from proofs that smoldot makes', async () => {
    const check = async (content: TrieContent, added: TrieContent): Promise<void> => {
      const base = new TrieBuilder(content, 0);
      const nodes = base.readProof([...content.keys()]).map(toPrefixedHex);
      const made: unknown = await createProof(nodes, pairsOf(added));
      const [root, proof] = Array.isArray(made) ? made : [undefined, undefined];
      if (typeof root !== 'string' || !Array.isArray(proof)) throw new Error('an answer of another form');
      const state = new ProvenState(bytesOf(root), proof.map(String).map(bytesOf));
      for (const [key, value] of added)
        expect(toHex(state.value(bytesOf(key)) ?? new Uint8Array(0))).toBe(toHex(value));
    };
    const full = trieContent.filter(({ size }) => size > 0);
    await fc.assert(fc.asyncProperty(full, full, check), { seed, numRuns: 100 });
  });
});

describe('GRANDPA compared with @polkadot/types', () => {
  const registry = new TypeRegistry();
  const voters = makeVoters(4);
  const number = fc.integer({ min: 0, max: 2 ** 30 - 1 });

  it('headers have the same hash and number', () => {
    fc.assert(
      fc.property(number, fc.uint8Array({ maxLength: 90 }), (height, salt) => {
        const other = Uint8Array.of(0, salt.length < 64 ? salt.length << 2 : (salt.length << 2) | 1, ...salt);
        const log = salt.length < 64 ? other : scheduledChange(voters);
        const block = makeBlock(undefined, { number: height, logs: [log, Uint8Array.of(8)] });
        const json = headerJson(block);
        // The registry's generic method only knows a type by its name.
        const theirs = registry.createTypeUnsafe('Header', [json]);
        expect(toPrefixedHex(headerFromJson(json).hash)).toBe(theirs.hash.toHex());
        expect(toHex(theirs.toU8a())).toBe(toHex(block.encoded));
        expect(decodeHeader(theirs.toU8a()).number).toBe(height);
      }),
      { seed, numRuns: 200 },
    );
  });

  it('headers up to the largest number', () => {
    for (const height of [63, 64, 2 ** 14 - 1, 2 ** 14, 2 ** 30 - 1, 2 ** 30, 2 ** 32 - 1]) {
      const json = {
        parentHash: `0x${'11'.repeat(32)}`,
        number: `0x${height.toString(16)}`,
        stateRoot: `0x${'22'.repeat(32)}`,
        extrinsicsRoot: `0x${'33'.repeat(32)}`,
        digest: { logs: [] },
      };
      const theirs = registry.createTypeUnsafe('Header', [json]);
      expect(toPrefixedHex(headerFromJson(json).hash)).toBe(theirs.hash.toHex());
      expect(headerFromJson(json).number).toBe(height);
    }
  });

  it('justifications decode to the same fields, and encode back to the same bytes', () => {
    const target = makeBlock(undefined, { number: 70_000 });
    const above = makeBlock(target);
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (round, setId) => {
          const votes = voters.map((voter, index) => ({ voter, block: index % 2 === 0 ? target : above }));
          const bytes = makeJustification({ target, votes, setId, round, ancestries: [above] });
          const theirs = registry.createTypeUnsafe('GrandpaJustification', [bytes]);
          expect(toHex(theirs.toU8a())).toBe(toHex(bytes));
          const json = JSON.parse(JSON.stringify(theirs.toJSON()));
          const ours = decodeJustification(bytes);
          expect(json.commit.targetHash).toBe(toPrefixedHex(ours.targetHash));
          expect(json.commit.targetNumber).toBe(ours.targetNumber);
          expect(
            json.commit.precommits.map((one: { id: string }) =>
              registry.createTypeUnsafe('AccountId', [one.id]).toHex(),
            ),
          ).toEqual(ours.precommits.map(({ signer }) => toPrefixedHex(signer)));
          expect(json.votesAncestries).toHaveLength(ours.votesAncestries.length);
          verifyJustification(
            ours,
            new AuthoritySet(
              setId,
              voters.map(({ signer, weight }) => ({ publicKey: signer.publicKey, weight })),
            ),
          );
        },
      ),
      { seed, numRuns: 50 },
    );
  });

  it('authority changes decode to the same fields', () => {
    const log = scheduledChange(makeVoters(5), 7);
    const item = registry.createTypeUnsafe('DigestItem', [log]);
    expect(toHex(item.toU8a())).toBe(toHex(log));
    const change = authorityChange(decodeHeader(makeBlock(undefined, { logs: [log] }).encoded));
    expect(change).toMatchObject({ kind: 'scheduled', delay: 7 });
    const body = registry.createTypeUnsafe('(u8, Vec<(AuthorityId, u64)>, u32)', [log.subarray(7)]);
    expect(body.toU8a()).toHaveLength(log.length - 7);
    expect(change?.nextAuthorities).toHaveLength(5);
  });

  it('a finality proof decodes to the same fields', () => {
    const world = new GrandpaWorld([{ voters, blocks: 6 }]);
    const bytes = world.proofOf(3);
    const theirs = registry.createTypeUnsafe('(H256, Bytes, Vec<Header>)', [bytes]);
    expect(toHex(theirs.toU8a())).toBe(toHex(bytes));
    const ours = decodeFinalityProof(bytes);
    const { before, last } = ours.unknownHeaders();
    expect([...before, last].map(({ hash }) => toHex(hash))).toEqual(
      [4, 5, 6].map((height) => toHex(world.block(height).hash)),
    );
  });
});

describe('signatures compared with noble', () => {
  it('OpenSSL and noble (ZIP 215 and strict) agree on honest signatures and on flipped bits', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat({ max: 64 * 8 }),
        (secret, flip) => {
          const publicKey = ed25519.getPublicKey(secret);
          const message = precommitMessage({ hash: secret, number: flip }, 1n, 2n);
          const signature = ed25519.sign(message, secret);
          const key = new Ed25519ChainKey(publicKey);
          expect(key.verify(message, signature)).toBe(true);
          const forged = new Uint8Array(signature);
          if (flip < 64 * 8) forged[flip >> 3] = (forged[flip >> 3] ?? 0) ^ (1 << (flip & 7));
          expect(key.verify(message, forged)).toBe(equalBytes(forged, signature));
          expect(ed25519.verify(forged, message, publicKey)).toBe(equalBytes(forged, signature));
        },
      ),
      { seed, numRuns: 60 },
    );
  });
});
