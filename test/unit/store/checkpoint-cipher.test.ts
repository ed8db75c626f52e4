import { describe, expect, it } from 'vitest';
import { CheckpointCipher } from '../../../src/store/log/checkpoint-format.ts';
import { storeKeyOf } from '../../support/store-on-disk.ts';

const position = { segmentId: 4, length: 900, nextOrdinal: 70, digest: new Uint8Array(32).fill(5) };
const binding = {
  storeId: new Uint8Array(16).fill(1),
  id: new Uint8Array(16).fill(2),
  generation: 3,
  position,
};
const entries = Uint8Array.of(1, 2, 3);
const nonce = new Uint8Array(24).fill(9);

describe('a chunk of a checkpoint', () => {
  const sealed = new CheckpointCipher(storeKeyOf(7), binding).seal(6, true, nonce, entries);

  it('opens in its place', () => {
    const opened = new CheckpointCipher(storeKeyOf(7), { ...binding }).open(6, true, sealed);
    expect(new Uint8Array(opened ?? [])).toEqual(entries);
  });

  it.each([
    ['store', { storeId: new Uint8Array(16).fill(8) }],
    ['id', { id: new Uint8Array(16).fill(8) }],
    ['generation', { generation: 4 }],
    ['sequence', { position: { ...position, nextOrdinal: 71 } }],
    ['digest of the log', { position: { ...position, digest: new Uint8Array(32).fill(6) } }],
  ])('does not open for another %s', (_, other) => {
    expect(
      new CheckpointCipher(storeKeyOf(7), { ...binding, ...other }).open(6, true, sealed),
    ).toBeUndefined();
  });

  it('does not open under another store key, as another chunk, or with chunks behind it or without', () => {
    expect(new CheckpointCipher(storeKeyOf(8), binding).open(6, true, sealed)).toBeUndefined();
    const cipher = new CheckpointCipher(storeKeyOf(7), binding);
    expect(cipher.open(5, true, sealed)).toBeUndefined();
    expect(cipher.open(6, false, sealed)).toBeUndefined();
  });

  it('names the namespace in what is sealed under the key of that namespace', () => {
    const cipher = new CheckpointCipher(storeKeyOf(7), binding);
    const one = Uint8Array.from(cipher.ofNamespace(1));
    expect(Uint8Array.from(cipher.ofNamespace(2))).not.toEqual(one);
    cipher.seal(3, true, nonce, entries);
    expect(Uint8Array.from(cipher.ofNamespace(1))).toEqual(one);
  });
});
