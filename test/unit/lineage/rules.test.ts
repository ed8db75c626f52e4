import { describe, expect, it } from 'vitest';
import { compareHeads } from '../../../src/lineage/head.ts';
import {
  BOOT_ID_BYTES,
  compareIncarnations,
  type Incarnation,
  isSameBoot,
  type Reservation,
  reservationOf,
} from '../../../src/lineage/incarnation.ts';
import {
  close,
  deposit,
  isNewer,
  isSame,
  isTaken,
  type LineageFacts,
  mayChange,
  NO_FACTS,
  reserve,
  show,
} from '../../../src/lineage/rules.ts';

const id = (fill: number): Uint8Array => new Uint8Array(BOOT_ID_BYTES).fill(fill);
const incarnation = (number: number, fill = 1): Incarnation => ({ number, bootId: id(fill) });
const reservation = (number: number, fill = 1): Reservation => ({ number, boot: id(fill) });
const deposited = (sequence: number) => ({ sequence, digest: new Uint8Array(32).fill(sequence) });
const shown: LineageFacts = show(NO_FACTS, incarnation(5));
const closed: LineageFacts = { ...shown, closed: true };

describe('incarnations', () => {
  it('are ordered by number, then by id', () => {
    expect(isNewer(incarnation(2), incarnation(1, 9))).toBe(true);
    expect(isNewer(incarnation(1, 9), incarnation(2))).toBe(false);
    expect(isNewer(incarnation(2, 9), incarnation(2))).toBe(true);
    expect(isNewer(incarnation(2), incarnation(2))).toBe(false);
    expect(isSame(incarnation(2), incarnation(2))).toBe(true);
    expect(isSame(incarnation(2), incarnation(2, 9))).toBe(false);
    expect(compareIncarnations(incarnation(2), incarnation(3))).toBeLessThan(0);
  });

  it('are of one boot when the random parts are the same, whatever the marks are', () => {
    const otherMark = id(1).fill(7, 8);
    expect(isSameBoot(id(1), otherMark)).toBe(true);
    expect(isSameBoot(id(1), id(1).fill(7, 7))).toBe(false);
  });
});

describe('a number', () => {
  const facts = { ...NO_FACTS, reserved: reservation(5) };

  it.each([
    ['a smaller one', reservation(4), true],
    ['the same one of this boot', reservation(5), false],
    ['the same one of another boot', reservation(5, 9), true],
    ['a larger one', reservation(6, 9), false],
  ])('%s is taken: %j', (_which, wish, expected) => {
    expect(isTaken(facts, wish)).toBe(expected);
    expect(reserve(facts, wish).reserved).toBe(expected ? facts.reserved : wish);
  });

  it('is not reserved in a closed lineage', () => {
    expect(reserve({ ...facts, closed: true }, reservation(6))).toEqual({ ...facts, closed: true });
  });
});

describe('an incarnation', () => {
  it('is shown unless a newer one is shown, or the lineage is closed', () => {
    expect(show(shown, incarnation(6)).shown).toEqual(incarnation(6));
    expect(show(shown, incarnation(5)).shown).toEqual(incarnation(5));
    expect(show(shown, incarnation(4))).toBe(shown);
    expect(show(closed, incarnation(6))).toBe(closed);
    expect(mayChange(closed, incarnation(6))).toBe(false);
  });

  it('leaves its number reserved, unless that one or a larger one is reserved', () => {
    expect(show(NO_FACTS, incarnation(5)).reserved).toEqual(reservationOf(incarnation(5)));
    for (const number of [5, 6]) {
      const reserved = reservation(number, 9);
      expect(show({ ...NO_FACTS, reserved }, incarnation(5)).reserved).toBe(reserved);
    }
  });
});

describe('a head', () => {
  const withHead = deposit(shown, incarnation(5), deposited(7));

  it('is taken from the incarnation that is shown, and from no other', () => {
    expect(withHead.head).toEqual({ ...deposited(7), incarnation: incarnation(5) });
    expect(deposit(shown, incarnation(4), deposited(7))).toBe(shown);
    expect(deposit(shown, incarnation(6), deposited(7))).toBe(shown);
    expect(deposit(closed, incarnation(5), deposited(7))).toBe(closed);
  });

  it('is replaced by a newer one only', () => {
    expect(deposit(withHead, incarnation(5), deposited(8)).head?.sequence).toBe(8);
    for (const sequence of [6, 7]) {
      expect(deposit(withHead, incarnation(5), deposited(sequence))).toBe(withHead);
    }
  });

  it('of a later writer is newer, whatever its number of records is', () => {
    expect(
      compareHeads(
        { incarnation: incarnation(6), sequence: 1 },
        { incarnation: incarnation(5), sequence: 9 },
      ),
    ).toBeGreaterThan(0);
  });
});

describe('the end of a lineage', () => {
  const closing = { last: incarnation(99), head: deposited(9) };

  it('shows a last incarnation and head, and changes nothing more', () => {
    expect(close(shown, incarnation(5), closing)).toMatchObject({
      closed: true,
      shown: incarnation(99),
      head: { sequence: 9 },
    });
  });

  it('is refused to an older instance', () => {
    expect(close(shown, incarnation(4), closing)).toBe(shown);
  });
});
