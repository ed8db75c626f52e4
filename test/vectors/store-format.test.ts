import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { describe, expect, it } from 'vitest';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';
import { fileOn, storeKeyOf, storeOptions } from '../support/store-on-disk.ts';

/** Not random: byte i of the stream is i mod 251, so that the files are the same every time. */
function countingRandom(): (length: number) => Uint8Array {
  let next = 0;
  return (length) => Uint8Array.from({ length }, () => next++ % 251);
}

async function vectorDisk(checkpointBytes?: number): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const storeId = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
  const more = checkpointBytes === undefined ? {} : { checkpointBytes };
  const store = await SealedStore.create(storeOptions(disk, { storeId, random: countingRandom(), ...more }));
  const plain = await store.namespace('vectors');
  await plain.put('name', Buffer.from('value'));
  const erasable = await store.namespace('erasable', { erasable: true });
  await erasable.put('secret', Buffer.from('inner'));
  await plain.delete('name');
  await store.close();
  return disk;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const derived = (purpose: string): Buffer =>
  Buffer.from(
    hkdfSync('sha256', storeKeyOf(7).reveal(), new Uint8Array(0), `latchkey/v1/store/${purpose}`, 32),
  );
const hmac = (key: Uint8Array, bytes: Uint8Array): string =>
  createHmac('sha256', key).update(bytes).digest('hex');

/** A second reader, written from docs/store-format.md alone. */
function openSealed(key: Uint8Array, sealed: Buffer, associatedData: Uint8Array): Buffer {
  const cipher = xchacha20poly1305(key, sealed.subarray(0, 24), associatedData);
  return Buffer.from(cipher.decrypt(sealed.subarray(24)));
}

function readRecord(plaintext: Buffer): [operation: number, namespace: number, name: string, value: Buffer] {
  const nameEnd = 12 + plaintext.readUInt16BE(2);
  const value = plaintext.subarray(nameEnd, nameEnd + plaintext.readUInt32BE(8));
  return [plaintext[0] ?? 0, plaintext.readUInt32BE(4), plaintext.toString('utf8', 12, nameEnd), value];
}

describe('the store format, version 1', () => {
  it('has the digests that docs/store-format.md gives', async () => {
    const disk = await vectorDisk();
    expect({
      manifest: sha256(fileOn(disk, '/store/MANIFEST')),
      keys: sha256(fileOn(disk, '/store/keys-0000000001')),
      segment: sha256(fileOn(disk, '/store/segment-0000000001')),
    }).toMatchInlineSnapshot(`
      {
        "keys": "26b67fc5083d09ff753f73970326484389676cc41beb2890c46f571859f2fd5d",
        "manifest": "5a222cbcd8d8a9e3ea0915e90f6c2683293b8f2acf0a2b69aba817a982ce3af6",
        "segment": "deed662bbce0188c960a2da1fe4da8a651bfb5cb31719dda178fbeab5db271b8",
      }
    `);
  });

  it('reads by its documentation: header, frames, chain, records, inner records', async () => {
    const disk = await vectorDisk();
    const segment = Buffer.from(fileOn(disk, '/store/segment-0000000001'));
    const chainKey = derived('chain');
    expect(segment.subarray(96, 128).toString('hex')).toBe(hmac(chainKey, segment.subarray(0, 96)));
    let previous = segment.subarray(64, 96);
    const found: unknown[] = [];
    for (let at = 128, ordinal = 1; at < segment.length; ) {
      const end = at + 72 + segment.readUInt32BE(at + 12);
      expect(segment.toString('latin1', at, at + 4)).toBe('LKf1');
      expect(segment.readBigUInt64BE(at + 16)).toBe(BigInt(ordinal));
      expect(segment.subarray(at + 40, at + 72).equals(previous)).toBe(true);
      previous = segment.subarray(end, end + 32);
      expect(previous.toString('hex')).toBe(hmac(chainKey, segment.subarray(at, end)));
      for (let record = at + 72; record < end; ordinal += 1) {
        const next = record + 4 + segment.readUInt32BE(record);
        const aad = Buffer.concat([segment.subarray(16, 32), Buffer.alloc(16)]);
        aad.writeBigUInt64BE(1n, 16);
        aad.writeBigUInt64BE(BigInt(ordinal), 24);
        const opened = readRecord(openSealed(derived('records'), segment.subarray(record + 4, next), aad));
        if (opened[0] === 5) {
          const places = Buffer.from(fileOn(disk, '/store/keys-0000000001'));
          const label = Buffer.concat([Buffer.from('LKNSKEY1'), segment.subarray(16, 32), Buffer.alloc(8)]);
          label.writeUInt32BE(2, 24);
          const own = openSealed(derived('records'), places.subarray(0, 72), label);
          opened.push(...readRecord(openSealed(own, opened[3], aad)));
        }
        found.push(opened.map((part) => (part instanceof Buffer ? part.toString('latin1') : part)));
        record = next;
      }
      at = end + 32;
    }
    expect(found).toMatchObject([
      [3, 1, 'vectors', '\0\0\0\0\0'],
      [1, 1, 'name', 'value'],
      [3, 2, 'erasable', '\u0001\0\0\0\0'],
      [5, 2, '', expect.anything(), 1, 2, 'secret', 'inner'],
      [2, 1, 'name', ''],
    ]);
  });
});

describe('the store format, version 2', () => {
  it('has the digests that docs/store-format.md gives, and the files of version 1 beside manifest and checkpoint', async () => {
    const [disk, former] = [await vectorDisk(0), await vectorDisk()];
    expect({
      manifest: sha256(fileOn(disk, '/store/MANIFEST')),
      checkpoint: sha256(fileOn(disk, '/store/checkpoint-0000000001')),
    }).toMatchInlineSnapshot(`
      {
        "checkpoint": "73ad7690a2eccd2562d4631e7cdad0428924f4019ac2d29a25445eafeb330385",
        "manifest": "948d92e5b587e065c401b20ee707ceab5b367900f4fec415d924df47cab1eaa1",
      }
    `);
    for (const file of ['/store/keys-0000000001', '/store/segment-0000000001'])
      expect(fileOn(disk, file)).toEqual(fileOn(former, file));
  });

  it('reads by its documentation: reference, chunks, entries, names under the key of their namespace', async () => {
    const disk = await vectorDisk(0);
    const manifest = Buffer.from(fileOn(disk, '/store/MANIFEST'));
    expect(manifest.readUInt16BE(8)).toBe(2);
    const headerEnd = 32 + manifest.readUInt16BE(10) + 40;
    const body = openSealed(
      derived('manifest'),
      manifest.subarray(headerEnd),
      manifest.subarray(0, headerEnd),
    );
    const reference = body.subarray(-84);
    const file = Buffer.from(fileOn(disk, '/store/checkpoint-0000000001'));
    const segment = Buffer.from(fileOn(disk, '/store/segment-0000000001'));
    expect([reference.readUInt32BE(0), reference.readBigUInt64BE(20)]).toEqual([1, BigInt(file.length)]);
    expect([
      reference.readBigUInt64BE(28),
      reference.readBigUInt64BE(36),
      reference.readBigUInt64BE(44),
    ]).toEqual([1n, BigInt(segment.length), 6n]);
    expect(reference.subarray(52)).toEqual(segment.subarray(-32));
    const generation = body.subarray(0, 8);
    const bound = [Buffer.from('LATCHCKP'), manifest.subarray(16, 32), reference.subarray(4, 20), generation];
    const aad = Buffer.concat([...bound, reference.subarray(44), Buffer.alloc(8), Buffer.of(1)]);
    expect(file.readUInt32BE(0)).toBe(file.length - 4);
    const entries = openSealed(derived('checkpoint'), file.subarray(4), aad);

    const places = Buffer.from(fileOn(disk, '/store/keys-0000000001'));
    const label = Buffer.concat([Buffer.from('LKNSKEY1'), manifest.subarray(16, 32), Buffer.alloc(8)]);
    label.writeUInt32BE(2, 24);
    const own = openSealed(derived('records'), places.subarray(0, 72), label);
    const found: unknown[] = [];
    const readEntries = (bytes: Buffer): void => {
      for (let at = 0; at < bytes.length; ) {
        const kind = bytes[at];
        const u32 = (offset: number) => bytes.readUInt32BE(at + offset);
        const u64 = (offset: number) => Number(bytes.readBigUInt64BE(at + offset));
        const text = (offset: number) =>
          bytes.toString('utf8', at + offset + 2, at + offset + 2 + bytes.readUInt16BE(at + offset));
        if (kind === 1) {
          found.push([kind, u32(1), u64(5), u64(13), u64(21), u64(29)]);
          at += 5 + 32;
        } else if (kind === 2) {
          found.push([kind, u32(1), bytes[at + 5], u32(6), text(10)]);
          at += 12 + bytes.readUInt16BE(at + 10);
        } else if (kind === 3) {
          found.push([kind, u32(1), u32(13), text(17)]);
          // The record is where the entry says: its sealed length stands before its nonce.
          expect(segment.readUInt32BE(u32(5) - 4)).toBe(u32(9));
          at += 19 + bytes.readUInt16BE(at + 17);
        } else if (kind === 4) {
          const sealed = bytes.subarray(at + 5, at + 5 + u32(1));
          const ofNamespace = Buffer.concat([aad.subarray(0, -9), Buffer.alloc(9), Buffer.of(0, 0, 0, 2)]);
          readEntries(openSealed(own, sealed, ofNamespace));
          at += 5 + u32(1);
        } else if (kind === 5) {
          found.push([kind, u32(1), u32(5), u64(9)]);
          at += 5 + 12;
        } else throw new Error(`kind ${kind}`);
      }
    };
    readEntries(entries);
    expect(found).toEqual([
      [1, 1, 1, 136, 0, 0],
      [2, 1, 0, 0, 'vectors'],
      [2, 2, 1, 0, 'erasable'],
      [3, 0, 3, 'secret'],
      [5, 1, 0, 136],
    ]);
  });

  it('is what a store of version 1 becomes with its first checkpoint', async () => {
    const disk = await vectorDisk();
    expect(fileOn(disk, '/store/MANIFEST')[9]).toBe(1);
    const upgrading = await SealedStore.open(storeOptions(disk, { checkpointBytes: 0 }));
    expect(upgrading.opening.checkpoint).toBe('none');
    expect(upgrading.namespaces()).toEqual(['erasable', 'vectors']);
    await upgrading.close();
    expect(fileOn(disk, '/store/MANIFEST')[9]).toBe(2);
    const upgraded = await SealedStore.open(storeOptions(disk));
    expect(upgraded.opening.checkpoint).toBe('used');
    const erasable = await upgraded.namespace('erasable', { erasable: true });
    expect(await erasable.get('secret')).toEqual(new Uint8Array(Buffer.from('inner')));
    await upgraded.close();
  });
});
