import { describe, expect, it } from 'vitest';
import { AccountId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { openLineageKey, sealLineageKey } from '../../../src/lineage/lineage-key.ts';
import { bootOf, lineageOf } from '../../support/lineages.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const own = lineageOf(1);
const other = lineageOf(2);
const boot = bootOf(3);

describe('marks', () => {
  it('of an incarnation are those of its lineage and number', () => {
    const incarnation = own.incarnation(7, boot);
    expect(own.isOwnIncarnation(incarnation)).toBe(true);
    expect(other.isOwnIncarnation(incarnation)).toBe(false);
    expect(own.isOwnIncarnation({ ...incarnation, number: 8 })).toBe(false);
  });

  it('of a reservation prove no incarnation, and those of an incarnation prove a reservation', () => {
    const reservation = own.reservation(7, boot);
    expect(own.isOwnReservation(reservation)).toBe(true);
    expect(other.isOwnReservation(reservation)).toBe(false);
    expect(own.isOwnIncarnation({ number: 7, bootId: reservation.boot })).toBe(false);
    expect(own.isOwnReservation({ number: 7, boot: own.incarnation(7, boot).bootId })).toBe(true);
  });

  it('of a head are those of its lineage, writer and number of records', () => {
    const head = own.head(own.incarnation(7, boot), 9, seededBytes(4, 32));
    expect(own.isOwnHead(head)).toBe(true);
    expect(other.isOwnHead(head)).toBe(false);
    expect(own.isOwnHead({ ...head, sequence: 10 })).toBe(false);
    expect(own.isOwnHead({ ...head, incarnation: own.incarnation(8, boot) })).toBe(false);
  });
});

describe('a sealed lineage key', () => {
  const serverKey = SecretBytes.adopt(seededBytes(5, 32));
  const server = AccountId.of(seededBytes(6, 32));
  const slot = { server, account: AccountId.of(seededBytes(7, 32)), slotId: SlotId.of(seededBytes(8, 16)) };
  const sealed = sealLineageKey(serverKey, slot, own.keyOf(server), (length) => seededBytes(9, length));

  it('opens under its server key and for its slot only', () => {
    expect(openLineageKey(serverKey, slot, sealed)?.reveal()).toEqual(own.keyOf(server).reveal());
    expect(openLineageKey(SecretBytes.adopt(seededBytes(10, 32)), slot, sealed)).toBeUndefined();
    expect(
      openLineageKey(serverKey, { ...slot, slotId: SlotId.of(seededBytes(10, 16)) }, sealed),
    ).toBeUndefined();
  });

  it.each([0, 10, sealed.length - 1])('of %i bytes does not open', (length) => {
    expect(openLineageKey(serverKey, slot, sealed.subarray(0, length))).toBeUndefined();
  });
});
