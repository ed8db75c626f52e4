import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { RequestShares } from '../../../src/inbound/request-shares.ts';

const open = () => new RequestShares({ maxRequestsPerNetwork: 2, maxRequestsPerSite: 3 });

/** An answer of which only its end is used. */
const answer = () => new EventEmitter() as ServerResponse;

it('an address may have so many requests under way, and others none less', () => {
  const shares = open();
  const [first, second, third] = [answer(), answer(), answer()];
  expect([first, second, third].map((one) => shares.enter('192.0.2.1', one))).toEqual([true, true, false]);
  expect(shares.enter('192.0.2.2', answer())).toBe(true);
  // What was refused counts nothing when it closes.
  third.emit('close');
  expect(shares.enter('192.0.2.1', answer())).toBe(false);
  first.emit('close');
  expect([answer(), answer()].map((one) => shares.enter('192.0.2.1', one))).toEqual([true, false]);
  second.emit('close');
  expect(shares.enter('192.0.2.1', answer())).toBe(true);
});

it('an IPv6 /64 is one network, and a /48 has a share too', () => {
  const shares = open();
  const first = answer();
  const enter = (address: string, one = answer()) => shares.enter(address, one);
  expect([enter('2001:db8:1:1::1', first), enter('2001:db8:1:1::2'), enter('2001:db8:1:1::3')]).toEqual([
    true,
    true,
    false,
  ]);
  expect([enter('2001:db8:1:2::1'), enter('2001:db8:1:3::1'), enter('2001:db8:2:1::1')]).toEqual([
    true,
    false,
    true,
  ]);
  first.emit('close');
  expect([enter('2001:db8:1:3::1'), enter('2001:db8:1:4::1')]).toEqual([true, false]);
});
