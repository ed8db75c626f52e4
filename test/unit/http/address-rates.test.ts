import { expect, it } from 'vitest';
import { AddressRates } from '../../../src/http/address-rates.ts';

const passed = (rates: AddressRates, addresses: readonly string[], nowMs = 0): number =>
  addresses.filter((address) => rates.take(address, nowMs) === 0).length;

/** One address in each of the first networks of an IPv6 /48. */
const networks = (site: string, count: number): string[] =>
  Array.from({ length: count }, (_, network) => `2001:db8:${site}:${network.toString(16)}::1`);

it('the networks of one IPv6 site have four shares together, refilled like their own', () => {
  const rates = new AddressRates({ burst: 10, perSecond: 2 });
  expect(passed(rates, networks('1', 1_000))).toBe(40);
  expect(passed(rates, networks('2', 30))).toBe(30);
  expect(passed(rates, networks('1', 1_000), 1_000)).toBe(8);
  expect(rates.take('2001:db8:1:ffff::1', 1_000)).toBe(125);
});

it('one network has its own share only, and what is refused to it takes nothing from its site', () => {
  const rates = new AddressRates({ burst: 10, perSecond: 2 });
  expect(passed(rates, Array(1_000).fill('2001:db8:1:1::1'))).toBe(10);
  expect(passed(rates, networks('1', 1_000).slice(2))).toBe(30);
});

it('IPv4 addresses belong to no site', () => {
  const rates = new AddressRates({ burst: 1, perSecond: 1 });
  const addresses = Array.from({ length: 200 }, (_, number) => `192.0.2.${number}`);
  expect(passed(rates, addresses)).toBe(200);
  expect(passed(rates, [...addresses, 'local'])).toBe(1);
});

it('a changed rate counts at the next request, for the site too', () => {
  const rate = { burst: 1, perSecond: 0.001 };
  const rates = new AddressRates(rate);
  expect(passed(rates, networks('1', 10))).toBe(4);
  rate.perSecond = 1_000;
  rate.burst = 10;
  expect(passed(rates, networks('1', 100), 1_000)).toBe(40);
});
