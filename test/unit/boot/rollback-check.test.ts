import { describe, expect, it } from 'vitest';
import { bootRecords } from '../../../src/boot/node/boot-record.ts';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import type { Head } from '../../../src/lineage/head.ts';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import type { FoundLog } from '../../../src/store/api/admission.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);
const digest = Uint8Array.from({ length: 32 }, (_, at) => at);
const otherDigest = digest.map((byte, at) => (at === 15 ? byte ^ 1 : byte));
const [first, second, third] = [1, 2, 3].map((number) => lineage.incarnation(number, bootOf(number)));
if (first === undefined || second === undefined || third === undefined) throw new Error('no boots');
const rolledBack = { code: 'STORE_ROLLED_BACK', family: 'evidence' };

/** A store as it was read: written by `writer` up to `sequence`; its digests are known at `visible`. */
function storeOf(
  writer: Incarnation | undefined,
  sequence: number,
  visible: readonly number[] = [],
): FoundLog {
  const record = writer === undefined ? undefined : bootRecords(writer, undefined)[0];
  return {
    storeId: new Uint8Array(16),
    head: { generation: 0, sequence, digest },
    digestAt: (at) => (visible.includes(at) ? digest : undefined),
    get: async (namespace, name) =>
      record?.kind === 'put' && record.namespace === namespace && record.name === name
        ? record.value
        : undefined,
  };
}

const check = (heads: readonly Head[], acceptance = new RollbackAcceptance(false)) =>
  new RollbackCheck(
    lineage,
    heads.map((head) => stateOf({ head })),
    acceptance,
  );
const given = () => new RollbackAcceptance(true);
/** A head that a server shows later, and whether the boot may go on. */
const compare = (of: RollbackCheck, head: Head | undefined) => {
  of.note({ head });
  of.requireCurrent();
};
const headOf = (writer: Incarnation, sequence: number, of = digest) => lineage.head(writer, sequence, of);

/** Accepts what was refused last. @returns its head. */
function accepted(acceptance: RollbackAcceptance): Head | undefined {
  const head = acceptance.refused?.head;
  acceptance.acceptRefused();
  return head;
}

describe('the check of a store against the heads that servers remember', () => {
  it('admits a store that ends at the newest head, or goes on from there', async () => {
    for (const sequence of [10, 11, 500]) {
      await check([headOf(second, 10), headOf(second, 9), headOf(first, 90)]).judge(
        storeOf(second, sequence, [10]),
      );
    }
    await check([]).judge(storeOf(undefined, 0));
    // A server that has no head yet.
    const without = new RollbackCheck(lineage, [stateOf()], new RollbackAcceptance(false));
    await without.judge(storeOf(undefined, 0));
  });

  it('refuses a store that an older boot wrote last, however long it is', async () => {
    await expect(check([headOf(second, 10)]).judge(storeOf(first, 5_000))).rejects.toMatchObject(rolledBack);
    // A store without a boot record is older than all.
    await expect(check([headOf(first, 1)]).judge(storeOf(undefined, 5_000))).rejects.toMatchObject(
      rolledBack,
    );
  });

  it('refuses a store of the same boot that ends before the head', async () => {
    const refusing = check([headOf(second, 11)]);
    await expect(refusing.judge(storeOf(second, 10))).rejects.toMatchObject(rolledBack);
    expect(refusing.refusedBy).toEqual(headOf(second, 11));
    // The newest head decides, whatever its place among the answers.
    await expect(
      check([headOf(second, 9), headOf(second, 11), headOf(first, 90)]).judge(storeOf(second, 10)),
    ).rejects.toMatchObject(rolledBack);
  });

  it('refuses another history of the same boot, where its digest can be seen', async () => {
    const forked = check([headOf(second, 10, otherDigest)]);
    expect(forked.sequences).toEqual([10]);
    await expect(forked.judge(storeOf(second, 20, [10]))).rejects.toMatchObject(rolledBack);
    // Compaction has taken the record.
    await check([headOf(second, 10, otherDigest)]).judge(storeOf(second, 20));
  });

  it('does not compare digests with a head of another boot: a dead boot must not lock its successor out', async () => {
    // The first boot put a record where the boot record of the second one is, told one server, and died.
    await check([headOf(first, 10, otherDigest)]).judge(storeOf(second, 20, [10]));
  });

  it('ignores heads that its node never deposited', async () => {
    const stranger = lineageOf(2);
    const invented = stranger.head(stranger.incarnation(9, bootOf(9)), 1_000, digest);
    const changed = { ...headOf(second, 10), sequence: 11 };
    const check = new RollbackCheck(
      lineage,
      [stateOf({ head: invented }), stateOf({ head: changed })],
      new RollbackAcceptance(false),
    );
    expect(check.sequences).toEqual([]);
    await check.judge(storeOf(second, 10));
    compare(check, invented);
    compare(check, { ...changed, sequence: 5_000 });
  });

  it('compares heads that are shown later, too', async () => {
    const later = check([headOf(second, 10)]);
    await later.judge(storeOf(second, 10, [10]));
    compare(later, undefined);
    compare(later, headOf(second, 10));
    compare(later, headOf(first, 900));
    expect(() => compare(later, headOf(second, 11))).toThrow(expect.objectContaining(rolledBack));
    expect(() => compare(later, headOf(third, 1))).toThrow(expect.objectContaining(rolledBack));
  });
});

describe('a human who goes on from an older store', () => {
  it('overrides the newest head that was shown, and nothing above it', async () => {
    const accepting = check([headOf(second, 10)], given());
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toEqual(headOf(second, 10));
    expect(accepting.acceptsOlder).toBe(true);
    compare(accepting, headOf(second, 10));
    compare(accepting, headOf(second, 9));
    accepting.endAcceptance();
    compare(accepting, headOf(second, 10));
    for (const above of [headOf(second, 11), headOf(third, 1)]) {
      expect(() => compare(accepting, above)).toThrow(expect.objectContaining(rolledBack));
    }
  });

  it('overrides what all servers showed that were asked for it, but not heads of strangers', async () => {
    const accepting = check([], given());
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toBeUndefined();
    const stranger = lineageOf(2);
    compare(accepting, stranger.head(stranger.incarnation(9, bootOf(9)), 9, digest));
    expect(accepting.acceptedOlder).toBeUndefined();
    compare(accepting, headOf(second, 10));
    compare(accepting, headOf(first, 90));
    accepting.endAcceptance();
    compare(accepting, headOf(second, 10));
    expect(() => compare(accepting, headOf(second, 11))).toThrow(expect.objectContaining(rolledBack));
  });

  it('is not assumed: without the decision nothing is accepted later', async () => {
    const strict = check([]);
    await strict.judge(storeOf(first, 5));
    expect(() => compare(strict, headOf(second, 10))).toThrow(expect.objectContaining(rolledBack));
  });

  it('overrides nothing when the store is not older', async () => {
    const accepting = check([headOf(first, 5)], given());
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toBeUndefined();
  });
});

describe('the decision of a human', () => {
  const open = (acceptance: RollbackAcceptance, head: Head, sequence: number, of = lineage) =>
    new RollbackCheck(of, [stateOf({ head })], acceptance).judge(storeOf(first, sequence));

  it('counts once: for the store that was opened, or a newer one, and for no later head', async () => {
    const acceptance = given();
    await open(acceptance, headOf(second, 10), 5);
    for (const [head, sequence] of [
      [headOf(second, 10), 4],
      [headOf(second, 11), 5],
      [headOf(third, 1), 500],
    ] as const)
      await expect(open(acceptance, head, sequence)).rejects.toMatchObject(rolledBack);
    await open(acceptance, headOf(second, 10), 5);
    await open(acceptance, headOf(second, 9), 6);
  });

  it('counts for one lineage', async () => {
    const other = lineageOf(2);
    const acceptance = given();
    await open(acceptance, headOf(third, 10), 5);
    await open(acceptance, headOf(second, 10), 5);
    const head = other.head(other.incarnation(2, bootOf(1)), 10, digest);
    await expect(open(acceptance, head, 5, other)).rejects.toMatchObject(rolledBack);
  });

  it('is over when the first opening has asked the servers, also when it needed none', async () => {
    const acceptance = given();
    const current = check([headOf(first, 5)], acceptance);
    await current.judge(storeOf(first, 5));
    expect(current.acceptsOlder).toBe(true);
    current.endAcceptance();
    expect(current.acceptsOlder).toBe(false);
    await expect(open(acceptance, headOf(second, 10), 5)).rejects.toMatchObject(rolledBack);
  });

  it('does not reach a second opening: what is shown there is not accepted', async () => {
    const acceptance = given();
    await open(acceptance, headOf(second, 10), 5);
    const again = check([headOf(second, 10)], acceptance);
    await again.judge(storeOf(first, 5));
    expect(() => compare(again, headOf(second, 11))).toThrow(expect.objectContaining(rolledBack));
  });

  it('given to a running process, counts for the store that was refused and the newest head that did', async () => {
    const acceptance = new RollbackAcceptance(false);
    expect(accepted(acceptance)).toBeUndefined();
    for (const sequence of [10, 11, 9])
      await expect(open(acceptance, headOf(second, sequence), 5)).rejects.toMatchObject(rolledBack);
    expect(accepted(acceptance)).toEqual(headOf(second, 11));
    expect(accepted(acceptance)).toBeUndefined();
    await open(acceptance, headOf(second, 11), 5);
    await expect(open(acceptance, headOf(second, 11), 4)).rejects.toMatchObject(rolledBack);
    await expect(open(acceptance, headOf(second, 12), 5)).rejects.toMatchObject(rolledBack);
    // Since then the host has put back another disk: the refusal of that one counts.
    await expect(open(acceptance, headOf(second, 9), 3)).rejects.toMatchObject(rolledBack);
    expect(accepted(acceptance)).toEqual(headOf(second, 9));
  });

  it('belongs to the store that was open while a newer head was shown, and to no other one', async () => {
    const acceptance = given();
    const opened = check([], acceptance);
    await opened.judge(storeOf(first, 5));
    opened.note({ head: headOf(second, 10) });
    await expect(open(acceptance, headOf(third, 1), 4)).rejects.toMatchObject(rolledBack);
    opened.endAcceptance();
    opened.requireCurrent();
  });

  it('given to a running process, counts for the lineage of the last refusal', async () => {
    const other = lineageOf(2);
    const acceptance = new RollbackAcceptance(false);
    const head = other.head(other.incarnation(9, bootOf(9)), 9, digest);
    await expect(open(acceptance, head, 5, other)).rejects.toMatchObject(rolledBack);
    await expect(open(acceptance, headOf(second, 10), 5)).rejects.toMatchObject(rolledBack);
    expect(accepted(acceptance)).toEqual(headOf(second, 10));
    await open(acceptance, headOf(second, 10), 5);
  });

  it('lets an open store go on that a head had refused', async () => {
    const acceptance = new RollbackAcceptance(false);
    const opened = check([], acceptance);
    await opened.judge(storeOf(first, 5));
    expect(() => compare(opened, headOf(second, 10))).toThrow(expect.objectContaining(rolledBack));
    acceptance.acceptRefused();
    opened.requireCurrent();
    expect(() => compare(opened, headOf(second, 11))).toThrow(expect.objectContaining(rolledBack));
  });

  it('accepts one mark under each former lineage, however many servers show it, and none without it', () => {
    const acceptance = given();
    const marks = [second, second, third, second];
    const verdicts = ['a', 'b'].map((name) => marks.map((mark) => acceptance.coversFormer(name, mark)));
    expect(verdicts).toEqual(Array(2).fill([true, true, false, true]));
    const refusing = new RollbackAcceptance(false);
    expect([refusing.coversFormer('a', second), refusing.coversFormer('a', second)]).toEqual([false, false]);
  });
});
