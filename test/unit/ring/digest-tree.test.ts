import { describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { sha256 } from '../../../src/crypto/sha2.ts';
import { DigestTree, MAX_LISTED } from '../../../src/ring/replication/digest-tree.ts';
import type { HeldRecord } from '../../../src/ring/replication/holdings.ts';
import { Dice } from '../../support/dice.ts';

const held = (id: string, ...order: number[]): HeldRecord => ({
  id: id.padEnd(64, '0'),
  order: Uint8Array.from(order),
  expiresAtMs: 1,
  storedAtMs: undefined,
});

/** The digest by its definition, of records in any order. */
function digestOf(records: readonly HeldRecord[], depth = 0): Buffer {
  const sorted = [...records].sort((a, b) => (a.id < b.id ? -1 : 1));
  if (sorted.length > MAX_LISTED) {
    const parts = [...'0123456789abcdef'].map((digit) =>
      digestOf(
        sorted.filter(({ id }) => id[depth] === digit),
        depth + 1,
      ),
    );
    return Buffer.from(sha256(Uint8Array.of(1), ...parts));
  }
  const parts = sorted.flatMap(({ id, order }) => [
    Buffer.from(id, 'hex'),
    Uint8Array.of(order.length),
    order,
  ]);
  return Buffer.from(sha256(Uint8Array.of(0), ...parts));
}

describe('the digest of records', () => {
  it('tells apart where the order of one ends and the next id begins', () => {
    const one = new DigestTree();
    one.set(held('00', 7, ...new Uint8Array(32), 8));
    const two = new DigestTree();
    two.set(held('00', 7));
    two.set({ ...held('00', 8), id: '0'.repeat(63).concat('8') });
    expect(one.digest).not.toBe(two.digest);
  });

  it('is that of its definition after any changes, below any prefix, however they came', () => {
    const dice = new Dice(20_261_130);
    const records = new Map<string, HeldRecord>();
    const tree = new DigestTree();
    // Ids with few different first digits, so that trees are deep, split and are joined again.
    const id = () => `${dice.of(['a', 'ab', 'abc', '0'])}${toHex(dice.bytes(32))}`.slice(0, 64);
    for (let step = 0; step < 3_000; step++) {
      const known = [...records.keys()];
      const isGrowing = step % 1_000 < 600;
      const name = known.length > 0 && !dice.oneIn(isGrowing ? 3 : 300) && !isGrowing ? dice.of(known) : id();
      if (isGrowing || dice.oneIn(8)) {
        const record = held(name, dice.below(256), dice.below(256));
        records.set(name, record);
        tree.set(record);
      } else {
        records.delete(name);
        tree.delete(name);
      }
      // Asked for now and then: what is remembered must not outlive a change.
      if (step % 7 === 0) void tree.digest;
      if (step % 50 === 0) {
        const all = [...records.values()];
        expect(tree.digest).toBe(digestOf(all).toString('hex'));
        expect(tree.count).toBe(all.length);
        for (const prefix of ['', 'a', 'ab', 'abc', 'abcd', '0', '7', 'ab0123']) {
          const below = all.filter((record) => record.id.startsWith(prefix));
          expect(tree.below(prefix).digest).toBe(digestOf(below, prefix.length).toString('hex'));
          expect([...tree.below(prefix).records()].map((record) => record.id)).toEqual(
            below.map((record) => record.id).sort(),
          );
        }
      }
    }
  });

  it('changes when an order changes, deep below the root, also after it was asked for', () => {
    const tree = new DigestTree();
    const dice = new Dice(5);
    const names = Array.from({ length: 2_000 }, () => toHex(dice.bytes(32)));
    for (const name of names) tree.set(held(name, 1));
    const before = tree.digest;
    const name = dice.of(names);
    tree.set(held(name, 2));
    expect(tree.digest).not.toBe(before);
    tree.set(held(name, 1));
    expect(tree.digest).toBe(before);
    tree.delete(name);
    expect(tree.digest).not.toBe(before);
  });
});
