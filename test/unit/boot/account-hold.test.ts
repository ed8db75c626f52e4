import { describe, expect, it } from 'vitest';
import { AccountHold, LAST_NUMBER, overtakenReason } from '../../../src/boot/node/account-hold.ts';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import { BOOT_ID_BYTES, type Incarnation, reservationOf } from '../../../src/lineage/incarnation.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);
const stranger = lineageOf(2);
const digest = new Uint8Array(32).fill(7);
const own = bootOf(5);
const newHold = (lastNumber = 3) => new AccountHold(lineage, own, lineage.incarnation(lastNumber, bootOf(4)));

/** A boot that holds as the given number. */
function holding(number = 4): AccountHold {
  const hold = newHold(number - 1);
  hold.take();
  return hold;
}

/** The number of a boot after it saw this and went above it. */
function numberAfter(hold: AccountHold): number {
  if (hold.isBeaten) hold.rise();
  return hold.incarnation.number;
}

describe('the number of a boot that does not hold', () => {
  it('is above the last writer of its store', () => {
    expect(newHold(3).incarnation).toEqual(lineage.incarnation(4, own));
    expect(newHold(3).wish).toEqual(lineage.reservation(4, own));
  });

  it('rises above a mark of its node', () => {
    const hold = newHold();
    hold.observe(stateOf({ shown: lineage.incarnation(9, bootOf(8)) }));
    expect(numberAfter(hold)).toBe(10);
  });

  it('rises above the writer of a head of its node, without any mark', () => {
    const hold = newHold();
    hold.observe(stateOf({ head: lineage.head(lineage.incarnation(12, bootOf(8)), 5, digest) }));
    expect(numberAfter(hold)).toBe(13);
  });

  it('rises above a reservation of another boot, also one of its own number, and not above its own', () => {
    const hold = newHold();
    hold.observe(stateOf({ reserved: lineage.reservation(4, own) }));
    expect(numberAfter(hold)).toBe(4);
    hold.observe(stateOf({ reserved: lineage.reservation(4, bootOf(9)) }));
    expect(numberAfter(hold)).toBe(5);
    hold.observe(stateOf({ reserved: lineage.reservation(70, bootOf(9)) }));
    expect(numberAfter(hold)).toBe(71);
  });

  it('does not move for a reservation that a server invents', () => {
    const hold = newHold();
    const invented = new Uint8Array(BOOT_ID_BYTES).fill(9);
    for (const number of [5, Number.MAX_SAFE_INTEGER]) {
      hold.observe(stateOf({ reserved: { number, boot: invented } }));
      hold.observe(stateOf({ reserved: stranger.reservation(number, bootOf(9)) }));
      // The mark of a reservation is not that of another number, and does not show an incarnation.
      hold.observe(stateOf({ reserved: { ...lineage.reservation(4, bootOf(9)), number } }));
      hold.observe(stateOf({ shown: { number, bootId: lineage.reservation(number, bootOf(9)).boot } }));
    }
    expect(numberAfter(hold)).toBe(4);
  });

  it('believes the reservation that a shown incarnation left', () => {
    const hold = newHold();
    hold.observe(stateOf({ reserved: reservationOf(lineage.incarnation(9, bootOf(9))) }));
    expect(numberAfter(hold)).toBe(10);
  });

  it('does not move for marks and heads of a foreign lineage', () => {
    const hold = newHold();
    const foreign = stranger.incarnation(1_000, bootOf(9));
    hold.observe(stateOf({ shown: foreign, head: stranger.head(foreign, 5, digest) }));
    hold.observe(stateOf({ shown: { number: 1_000, bootId: new Uint8Array(BOOT_ID_BYTES) } }));
    hold.observe(undefined);
    expect(numberAfter(hold)).toBe(4);
  });

  it('is not counted as reserved or shown where the lineage is closed, or for another boot', () => {
    const hold = newHold();
    const reserved = hold.wish;
    const shown = hold.incarnation;
    expect(hold.isReserved(stateOf({ reserved }))).toBe(true);
    expect(hold.isReserved(stateOf({ reserved, closed: true }))).toBe(false);
    expect(hold.isReserved(stateOf({ reserved: { ...reserved, boot: bootOf(9) } }))).toBe(false);
    expect(hold.isReserved(stateOf({ reserved: { ...reserved, number: 5 } }))).toBe(false);
    expect(hold.isShown(stateOf({ shown }))).toBe(true);
    expect(hold.isShown(stateOf({ shown, closed: true }))).toBe(false);
    expect(hold.isShown(stateOf({ shown: lineage.incarnation(4, bootOf(9)) }))).toBe(false);
  });
});

describe('the last number', () => {
  it.each([
    ['the one that closes a lineage', LAST_NUMBER],
    ['the one before it', LAST_NUMBER - 1],
  ])('is no number of a boot: it stops above %s', (_name, number) => {
    const hold = newHold();
    hold.observe(stateOf({ shown: lineage.incarnation(number, bootOf(9)) }));
    expect(hold.newest.number).toBe(number);
    expect(() => hold.rise()).toThrow(expect.objectContaining({ code: 'LINEAGE_CLOSED' }));
    expect(hold.incarnation.number).toBe(4);
  });

  it('is what another instance shows that changed the store key, and people are told so', () => {
    const reasons = [LAST_NUMBER, 5].map((number) => overtakenReason(lineage.incarnation(number, own)));
    expect(reasons).toEqual([
      'the store key of this node was changed by another instance',
      'incarnation 5 of this node has claimed the account',
    ]);
  });

  it('leaves room for the number before it', () => {
    const hold = newHold();
    hold.observe(stateOf({ shown: lineage.incarnation(LAST_NUMBER - 2, bootOf(9)) }));
    expect(numberAfter(hold)).toBe(LAST_NUMBER - 1);
  });
});

describe('a mark that a server shows', () => {
  it('is credible when this node made it, whatever its number', () => {
    const hold = newHold();
    const [own, earlier] = [hold.incarnation, lineage.incarnation(2, bootOf(9))];
    const isCredible = [own, earlier, stranger.incarnation(2, bootOf(9))].map((shown) =>
      hold.isCredible(stateOf({ shown })),
    );
    expect(isCredible).toEqual([true, true, false]);
    expect(hold.isCredible(undefined)).toBe(false);
  });

  it('does not count where another boot has reserved its number, or a larger one', () => {
    const hold = newHold();
    const shown = hold.incarnation;
    const isShownBeside = (number: number, boot: Uint8Array): boolean =>
      hold.isShown(stateOf({ shown, reserved: lineage.reservation(number, boot) }));
    expect([isShownBeside(4, own), isShownBeside(3, bootOf(9))]).toEqual([true, true]);
    // A dead boot that reserved it here may have shown itself elsewhere.
    expect([isShownBeside(4, bootOf(9)), isShownBeside(5, bootOf(9))]).toEqual([false, false]);
    // This boot never reserved a number above its own.
    expect(isShownBeside(5, own)).toBe(false);
  });
});

describe('a boot that holds', () => {
  it('is ended for good by one newer mark of its node', () => {
    const hold = holding();
    const newer = lineage.incarnation(5, bootOf(9));
    hold.observe(stateOf({ shown: newer }));
    expect(hold.overtakenBy).toEqual(newer);
    // Nothing that a server shows later takes it back.
    hold.observe(stateOf({ shown: hold.incarnation }));
    hold.observe(stateOf({ head: lineage.head(lineage.incarnation(3, bootOf(4)), 9, digest) }));
    expect(hold.overtakenBy).toEqual(newer);
  });

  it('is ended by another boot of the same number when that one has the larger id', () => {
    const [smaller, larger] = [lineage.incarnation(4, bootOf(1)), lineage.incarnation(4, bootOf(9))];
    const hold = holding();
    hold.observe(stateOf({ shown: smaller }));
    expect(hold.overtakenBy).toBeUndefined();
    hold.observe(stateOf({ shown: larger }));
    expect(hold.overtakenBy).toEqual(larger);
  });

  it('is ended by a head of a newer writer, without its mark', () => {
    const hold = holding();
    const writer = lineage.incarnation(5, bootOf(9));
    hold.observe(stateOf({ head: lineage.head(writer, 1, digest) }));
    expect(hold.overtakenBy).toEqual(writer);
  });

  it('is not ended by older marks, foreign ones, reservations, or a lineage that is only said to be closed', () => {
    const hold = holding();
    const foreign = stranger.incarnation(1_000, bootOf(9));
    hold.observe(stateOf({ shown: lineage.incarnation(3, bootOf(9)) }));
    hold.observe(stateOf({ shown: foreign, head: stranger.head(foreign, 5, digest) }));
    hold.observe(stateOf({ reserved: lineage.reservation(1_000, bootOf(9)) }));
    hold.observe(stateOf({ closed: true }));
    expect(hold.overtakenBy).toBeUndefined();
    expect(hold.incarnation.number).toBe(4);
  });

  it('keeps its number', () => {
    expect(() => holding().rise()).toThrow(TypeError);
  });

  it('may not go on once it is overtaken', () => {
    const hold = holding();
    hold.requireCurrent();
    hold.observe(stateOf({ shown: lineage.incarnation(5, bootOf(9)) }));
    expect(() => hold.requireCurrent()).toThrow(expect.objectContaining({ code: 'NODE_FENCED' }));
  });

  it('tells of a newer mark at the answer that shows it, and of nothing else', () => {
    const hold = holding();
    const told: Incarnation[] = [];
    hold.whenOvertaken((by) => told.push(by));
    hold.observe(stateOf({ shown: hold.incarnation }));
    hold.observe(stateOf({ shown: lineage.incarnation(3, bootOf(9)) }));
    expect(told).toEqual([]);
    hold.observe(stateOf({ shown: lineage.incarnation(5, bootOf(9)) }));
    expect(told).toEqual([lineage.incarnation(5, bootOf(9))]);
  });

  it('deposits no head before its first record, and its own heads after it do not stop it', async () => {
    const rollback = new RollbackCheck(lineage, [], new RollbackAcceptance(false));
    const hold = new AccountHold(lineage, own, lineage.incarnation(3, bootOf(4)), rollback);
    const log = { generation: 0, sequence: 5, digest };
    hold.take();
    expect(hold.headOf(log)).toBeUndefined();
    hold.begin();
    const head = hold.headOf(log);
    expect(head).toEqual(lineage.head(hold.incarnation, 5, digest));
    hold.observe(stateOf({ shown: hold.incarnation, head }));
    hold.requireCurrent();
    expect(rollback.refusedBy).toBeUndefined();
  });

  it('is not overtaken before it holds: then it goes above', () => {
    const hold = newHold();
    hold.observe(stateOf({ shown: lineage.incarnation(9, bootOf(9)) }));
    expect([hold.overtakenBy, hold.holds]).toEqual([undefined, false]);
  });

  it('holds a new lineage from the start', () => {
    const born = AccountHold.ofNewLineage(lineage, own);
    expect([born.holds, born.incarnation]).toEqual([true, lineage.incarnation(1, own)]);
  });

  it('ignores answers that come after it has ended: its keys are wiped by then', () => {
    const ended = lineageOf(3);
    const hold = AccountHold.ofNewLineage(ended, own);
    const late = stateOf({ shown: ended.incarnation(9, bootOf(9)) });
    ended.wipe();
    hold.observe(late);
    expect(hold.overtakenBy).toBeUndefined();
  });
});
