import { beforeAll, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { BackupOutline } from '../../../src/store/backup/backup-outline.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { codeOf } from '../../support/thrown.ts';

let backup: Uint8Array;
let storeId: Uint8Array;
/** Where chunks begin. */
const borders: number[] = [];

beforeAll(async () => {
  const storeKey = new SecretBytes(new Uint8Array(32).fill(7));
  const store = await SealedStore.create({ fileSystem: new SimulatedDisk(), path: '/store', storeKey });
  storeId = store.storeId;
  const values = await store.namespace('values');
  // More than one chunk of a mebibyte.
  for (let index = 0; index < 3; index++) await values.put(`big-${index}`, new Uint8Array(700_000));
  const parts: Uint8Array[] = [];
  let length = 0;
  await store.backup(async (bytes) => {
    parts.push(bytes.slice());
    length += bytes.length;
    borders.push(length);
  });
  await store.close();
  backup = new Uint8Array(Buffer.concat(parts));
});

function follow(bytes: Uint8Array, piece = bytes.length): { readonly storeId: Uint8Array } {
  const outline = new BackupOutline();
  for (let at = 0; at < bytes.length; at += piece) outline.take(bytes.subarray(at, at + piece));
  return outline.finish();
}

describe('the outline of a backup', () => {
  it('recognizes a complete backup and its store, in pieces of any size', () => {
    expect(borders.length).toBeGreaterThan(2);
    for (const piece of [7, 79, 80, 81, 85, 4_096, 1 << 20, backup.length])
      expect(follow(backup, piece).storeId).toEqual(storeId);
  });

  it('V9 detects a backup that ended too early, also between two chunks', () => {
    const small = Array.from({ length: 200 }, (_, index) => index);
    const cuts = [...small, ...borders.flatMap((end) => [end - 1, end, end + 1, end + 5])];
    const early = cuts.filter((cut) => cut < backup.length);
    expect(early.length).toBeGreaterThan(200);
    for (const cut of early)
      expect(
        codeOf(() => follow(backup.subarray(0, cut), 50_000)),
        `cut at ${cut}`,
      ).toBe('STORE_BACKUP_TRUNCATED');
  });

  it('V9 refuses other data, bytes after the end, and impossible chunk lengths', () => {
    expect(codeOf(() => follow(new Uint8Array(500)))).toBe('STORE_BACKUP_INVALID');
    expect(codeOf(() => follow(new Uint8Array(Buffer.concat([backup, Buffer.of(0)]))))).toBe(
      'STORE_BACKUP_INVALID',
    );
    for (const [at, value] of [
      [80, 0xff],
      [84, 2],
    ] as const) {
      const changed = backup.slice();
      changed[at] = value;
      expect(codeOf(() => follow(changed))).toBe('STORE_BACKUP_INVALID');
    }
    const other = backup.slice();
    other[9] = 99;
    expect(codeOf(() => follow(other))).toBe('STORE_FORMAT_UNSUPPORTED');
  });
});
