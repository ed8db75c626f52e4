import { describe, expect, it } from 'vitest';
import { RecordId } from '../../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { signRecord } from '../../../../src/secrets/record.ts';
import { secretFormat } from '../../../../src/secrets/secret-format.ts';
import { UserIndex } from '../../../../src/secrets/service/user-index.ts';
import { recordBounds, type WriteBounds } from '../../../../src/secrets/service/write-bounds.ts';
import { encodeEntry, hashValue, peekEntry, saltValue, secretEntry } from '../../../../src/secrets/value.ts';
import { MemoryReplicaStore } from '../../../support/ring-records.ts';
import { ALICE, BOB, secretContent, seedOf } from '../../../support/secret-records.ts';

const loose: WriteBounds = { users: 'all', perUser: { records: 2, bytes: 100_000 }, maxRecords: 10 };

/** A record of Alice (1) or Bob (2). */
function entryOf(user: 1 | 2, at: number, { version = 1, bytes = 10 } = {}) {
  const account = user === 1 ? ALICE : BOB;
  const salted = saltValue(new Uint8Array(bytes), systemRandom);
  const content = secretContent({ account, version, pathPrefix: `/${at}`, valueHash: hashValue(salted) });
  return secretFormat.read(encodeEntry(secretEntry(signRecord(seedOf(user), content), salted)));
}

async function boundsOf(bounds: Partial<WriteBounds>) {
  const index = new UserIndex();
  const store = index.around(new MemoryReplicaStore());
  const isWithin = recordBounds(index, { ...loose, ...bounds });
  const keep = (entry: ReturnType<typeof entryOf>) => store.put(toHex(entry.id), entry.bytes);
  return { isWithin, keep };
}

describe('bounds for records that other members bring', () => {
  it('have room for listed users only', async () => {
    const { isWithin } = await boundsOf({ users: [ALICE] });
    expect([isWithin(entryOf(1, 1)), isWithin(entryOf(2, 1))]).toEqual([true, false]);
  });

  it('have room for as many records and bytes of one user as for its own users', async () => {
    const { isWithin, keep } = await boundsOf({ perUser: { records: 2, bytes: 5_000 } });
    await keep(entryOf(1, 1));
    expect([isWithin(entryOf(1, 2)), isWithin(entryOf(1, 2, { bytes: 5_000 }))]).toEqual([true, false]);
    await keep(entryOf(1, 2));
    expect([isWithin(entryOf(1, 3)), isWithin(entryOf(2, 3))]).toEqual([false, true]);
    // In place of one that is here, within the bytes.
    expect(isWithin(entryOf(1, 2, { version: 2, bytes: 100 }))).toBe(true);
    expect(isWithin(entryOf(1, 2, { version: 2, bytes: 5_000 }))).toBe(false);
  });

  it('count a record before it is on the disk', async () => {
    const { isWithin, keep } = await boundsOf({ perUser: { records: 1, bytes: 5_000 } });
    const writing = keep(entryOf(1, 1));
    expect(isWithin(entryOf(1, 2))).toBe(false);
    await writing;
  });

  it('have room for no more than all', async () => {
    const { isWithin, keep } = await boundsOf({ maxRecords: 1 });
    await keep(entryOf(1, 1));
    expect([isWithin(entryOf(2, 1)), isWithin(entryOf(1, 1, { version: 2, bytes: 50 }))]).toEqual([
      false,
      true,
    ]);
  });

  it('have room for what takes no more than before, and for a deletion, of whomever it is', async () => {
    const { isWithin, keep } = await boundsOf({
      users: [],
      perUser: { records: 0, bytes: 0 },
      maxRecords: 0,
    });
    const present = entryOf(2, 1, { bytes: 50 });
    await keep(present);
    expect([
      isWithin(entryOf(2, 1, { version: 2, bytes: 50 })),
      isWithin(entryOf(2, 1, { bytes: 51 })),
    ]).toEqual([true, false]);
    const { content } = peekEntry(present.bytes);
    const tombstone = (path: string) => {
      const deleted = { ...content, kind: 'tombstone', version: 2, pathPrefix: path } as const;
      const {
        acl: _,
        valueHash: __,
        ...rest
      } = deleted as typeof deleted & { acl: unknown; valueHash: unknown };
      const record = signRecord(seedOf(2), rest as never);
      return secretFormat.read(encodeEntry(secretEntry(record, new SecretBytes(new Uint8Array(0)))));
    };
    expect([isWithin(tombstone('/1')), isWithin(tombstone('/2'))]).toEqual([true, false]);
    expect(RecordId.of(present.id)).toEqual(present.id);
  });
});
