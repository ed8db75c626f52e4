import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { AddressRules, isGlobalUnicast, parseBlock } from '../../../../src/secrets/relay/address-rules.ts';
import { ownAddresses } from '../../../../src/secrets/relay/own-addresses.ts';
import { codeOf } from '../../../support/thrown.ts';

/** IANA IPv4 Special-Purpose Address Registry, as of 2025-10, row by row. */
const ianaIpv4 = [
  ...['0.0.0.0/8', '0.0.0.0/32', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.0.0.0/29', '192.0.0.8/32', '192.0.0.9/32', '192.0.0.10/32'],
  ...['192.0.0.170/32', '192.0.0.171/32', '192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24'],
  ...['192.88.99.0/24', '192.88.99.2/32', '192.168.0.0/16', '192.175.48.0/24', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4', '255.255.255.255/32'],
];
/** IANA IPv6 Special-Purpose Address Registry, as of 2025-10, row by row. */
const ianaIpv6 = [
  ...['::1/128', '::/128', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '100:0:0:1::/64'],
  ...[
    '2001::/23',
    '2001::/32',
    '2001:1::1/128',
    '2001:1::2/128',
    '2001:1::3/128',
    '2001:2::/48',
    '2001:3::/32',
  ],
  ...['2001:4:112::/48', '2001:10::/28', '2001:20::/28', '2001:30::/28', '2001:db8::/32', '2002::/16'],
  ...['2620:4f:8000::/48', '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10'],
];

const groupsOf = (half: string): string[] => half.split(':').filter((group) => group !== '');

/** An address as a number, computed without the code under test. */
function numberOf(address: string): bigint {
  if (address.includes('.')) return address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const [head = '', tail = ''] = address.split('::', 2);
  const left = groupsOf(head);
  const right = groupsOf(tail);
  const zeros = address.includes('::') ? Array<string>(8 - left.length - right.length).fill('0') : [];
  return [...left, ...zeros, ...right].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function textOf(value: bigint, isIpv6: boolean): string {
  const parts = isIpv6 ? 8 : 4;
  const base = isIpv6 ? 65_536n : 256n;
  const digits = Array.from({ length: parts }, (_, at) => (value / base ** BigInt(parts - 1 - at)) % base);
  return digits.map((digit) => digit.toString(isIpv6 ? 16 : 10)).join(isIpv6 ? ':' : '.');
}

function edges(block: string): { readonly first: string; readonly last: string; readonly around: string[] } {
  const [address = '', bits = ''] = block.split('/');
  const isIpv6 = address.includes(':');
  const size = 2n ** BigInt((isIpv6 ? 128 : 32) - Number(bits));
  const first = numberOf(address);
  const most = 2n ** (isIpv6 ? 128n : 32n);
  const around = [first - 1n, first + size].filter((value) => value >= 0n && value < most);
  return {
    first: textOf(first, isIpv6),
    last: textOf(first + size - 1n, isIpv6),
    around: around.map((value) => textOf(value, isIpv6)),
  };
}

describe('addresses of the relay', () => {
  it.each([...ianaIpv4, ...ianaIpv6])('refuses the first and the last address of %s', (block) => {
    const { first, last } = edges(block);
    expect([first, last].filter(isGlobalUnicast)).toEqual([]);
  });

  it.each([
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
    ...['192.0.0.0/24', '192.0.2.0/24', '192.168.0.0/16', '192.31.196.0/24', '192.52.193.0/24'],
    ...['192.88.99.0/24', '192.175.48.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
    ...['168.63.129.16/32', '2002::/16', '2001:db8::/32', '2620:4f:8000::/48'],
  ])('allows the addresses around %s', (block) => {
    expect(edges(block).around.filter((address) => !isGlobalUnicast(address))).toEqual([]);
  });

  it.each([
    ...['224.0.0.1', '239.255.255.255', 'ff02::1', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '64:ff9b::808:808'],
    ...[
      '::8.8.8.8',
      '4000::1',
      '1fff:ffff::1',
      'fec0::1',
      '169.254.169.254',
      'fd00:ec2::254',
      '100.100.100.200',
    ],
    ...[
      '168.63.129.16',
      'fe80::1%eth0',
      '2606:4700::1111%eth0',
      '',
      'localhost',
      '2130706433',
      '0x7f.1',
      '127.1',
    ],
  ])('refuses %s', (address) => {
    expect(isGlobalUnicast(address)).toBe(false);
  });

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '168.63.129.17',
    '2606:4700:4700::1111',
    '2a00:1450:4001::200e',
    '2001:4860::8888',
  ])('allows %s', (address) => {
    expect(isGlobalUnicast(address)).toBe(true);
  });

  const rules = new AddressRules(['127.0.0.0/8', 'fd00::5', '10.1.0.0/16']);
  // The last one is allowed by the operator.
  const own = ['9.9.9.9', '2001:4860::9', '10.1.2.3'];
  const fleet = [
    { address: '127.0.0.1', port: 3001 },
    { address: '8.8.4.4', port: 3001 },
    { address: '2001:4860::1', port: 3001 },
  ];
  it.each([
    ['127.0.0.1', 8443, 'none'],
    ['127.0.0.1', 3001, 'SECRET_ADDRESS_REFUSED'],
    ['fd00::5', 443, 'none'],
    ['fd00::6', 443, 'SECRET_ADDRESS_REFUSED'],
    ['10.1.255.1', 443, 'none'],
    ['10.2.0.1', 443, 'SECRET_ADDRESS_REFUSED'],
    ['::ffff:127.0.0.1', 443, 'SECRET_ADDRESS_REFUSED'],
    ['8.8.4.4', 3001, 'SECRET_ADDRESS_REFUSED'],
    ['8.8.4.4', 80, 'none'],
    ['2001:4860:0:0::1', 3001, 'SECRET_ADDRESS_REFUSED'],
    ['2001:4860:0:0::1', 443, 'none'],
    ['9.9.9.9', 443, 'SECRET_ADDRESS_REFUSED'],
    ['2001:4860:0:0::9', 443, 'SECRET_ADDRESS_REFUSED'],
    ['10.1.2.3', 443, 'none'],
    ['8.8.8.8', 443, 'none'],
    // The port of a node, at another address.
    ['8.8.8.8', 3001, 'none'],
  ])('judges %s port %i by the list of the operator and the fleet', (address, port, code) => {
    expect(codeOf(() => rules.judge({ address, port, isTls: false }, { fleet, own }))).toBe(code);
  });

  // A server that names a service as its endpoint on the chain must not keep relays from it.
  it('allows the port of a node by TLS, which no node speaks, and no address of this machine', () => {
    const judge = (address: string, port: number) =>
      codeOf(() => rules.judge({ address, port, isTls: true }, { fleet, own }));
    expect(judge('8.8.4.4', 3001)).toBe('none');
    expect(judge('9.9.9.9', 3001)).toBe('SECRET_ADDRESS_REFUSED');
  });

  it('knows the addresses of all interfaces, without their zones', () => {
    const address = (text: string) => ({ address: text }) as NetworkInterfaceInfo;
    const interfaces = () => ({
      lo: [address('127.0.0.1')],
      eth0: [address('9.9.9.9'), address('fe80::1%eth0')],
    });
    expect(ownAddresses(interfaces)).toEqual(['127.0.0.1', '9.9.9.9', 'fe80::1']);
    expect(ownAddresses()).toEqual(ownAddresses(networkInterfaces));
  });

  it.each([
    '',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'localhost',
    'fe80::1%eth0',
    '::/129',
    '10.0.0.0/-1',
  ])('does not read %j as a block', (text) => {
    expect(parseBlock(text)).toBeUndefined();
    expect(() => new AddressRules([text])).toThrow(RangeError);
  });
});
