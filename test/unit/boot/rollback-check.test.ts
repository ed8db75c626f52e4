import { describe, expect, it } from 'vitest';
import { bootRecord } from '../../../src/boot/node/boot-record.ts';
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
  const record = writer === undefined ? undefined : bootRecord(writer);
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

const check = (heads: readonly Head[], accepts = false) =>
  new RollbackCheck(
    lineage,
    heads.map((head) => stateOf({ head })),
    accepts,
  );
const headOf = (writer: Incarnation, sequence: number, of = digest) => lineage.head(writer, sequence, of);

describe('the check of a store against the heads that servers remember', () => {
  it('admits a store that ends at the newest head, or goes on from there', async () => {
    for (const sequence of [10, 11, 500]) {
      await check([headOf(second, 10), headOf(second, 9), headOf(first, 90)]).judge(
        storeOf(second, sequence, [10]),
      );
    }
    await check([]).judge(storeOf(undefined, 0));
  });

  it('refuses a store that an older boot wrote last, however long it is', async () => {
    await expect(check([headOf(second, 10)]).judge(storeOf(first, 5_000))).rejects.toMatchObject(rolledBack);
    // A store without a boot record is older than all.
    await expect(check([headOf(first, 1)]).judge(storeOf(undefined, 5_000))).rejects.toMatchObject(
      rolledBack,
    );
  });

  it('refuses a store of the same boot that ends before the head', async () => {
    await expect(check([headOf(second, 11)]).judge(storeOf(second, 10))).rejects.toMatchObject(rolledBack);
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
      false,
    );
    expect(check.sequences).toEqual([]);
    await check.judge(storeOf(second, 10));
    check.compare({ head: invented });
    check.compare({ head: { ...changed, sequence: 5_000 } });
  });

  it('compares heads that are shown later, too', async () => {
    const later = check([headOf(second, 10)]);
    await later.judge(storeOf(second, 10, [10]));
    later.compare({ head: undefined });
    later.compare({ head: headOf(second, 10) });
    later.compare({ head: headOf(first, 900) });
    expect(() => later.compare({ head: headOf(second, 11) })).toThrow(expect.objectContaining(rolledBack));
    expect(() => later.compare({ head: headOf(third, 1) })).toThrow(expect.objectContaining(rolledBack));
  });
});

describe('a human who goes on from an older store', () => {
  it('overrides the newest head that was shown, and nothing above it', async () => {
    const accepting = check([headOf(second, 10)], true);
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toEqual(headOf(second, 10));
    accepting.compare({ head: headOf(second, 10) });
    accepting.compare({ head: headOf(second, 9) });
    for (const above of [headOf(second, 11), headOf(third, 1)]) {
      expect(() => accepting.compare({ head: above })).toThrow(expect.objectContaining(rolledBack));
    }
  });

  it('overrides what all servers showed that were asked for it, but not heads of strangers', async () => {
    const accepting = check([], true);
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toBeUndefined();
    const stranger = lineageOf(2);
    accepting.accept({ head: stranger.head(stranger.incarnation(9, bootOf(9)), 9, digest) });
    expect(accepting.acceptedOlder).toBeUndefined();
    accepting.accept({ head: headOf(second, 10) });
    accepting.accept({ head: headOf(first, 90) });
    expect(accepting.acceptedOlder).toEqual(headOf(second, 10));
    accepting.compare({ head: headOf(second, 10) });
  });

  it('is not assumed: without the decision nothing is accepted later', async () => {
    const strict = check([]);
    await strict.judge(storeOf(first, 5));
    strict.accept({ head: headOf(second, 10) });
    expect(() => strict.compare({ head: headOf(second, 10) })).toThrow(expect.objectContaining(rolledBack));
  });

  it('overrides nothing when the store is not older', async () => {
    const accepting = check([headOf(first, 5)], true);
    await accepting.judge(storeOf(first, 5));
    expect(accepting.acceptedOlder).toBeUndefined();
  });
});
