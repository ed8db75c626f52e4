import { isIPv4, isIPv6 } from 'node:net';

const NETWORK_GROUPS = 4;
const SITE_GROUPS = 3;

/**
 * The network that limits count by: an IPv4 address itself, and of an IPv6 address its first 64 bits, because one
 * subscriber has at least all addresses behind those (RFC 6177) and could use a new one for every request. Text that is
 * no IPv6 address stays as it is.
 */
export function networkOf(address: string): string {
  const groups = ipv6Groups(address);
  return typeof groups === 'string' ? groups : `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}

/** The first 48 bits of an IPv6 address, the usual assignment to one site (RFC 6177); `undefined` for other addresses. */
export function siteOf(address: string): string | undefined {
  const groups = ipv6Groups(address);
  return typeof groups === 'string' ? undefined : `${groups.slice(0, SITE_GROUPS).join(':')}::/48`;
}

/** Whether an address is of this machine only (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3). */
export function isLoopback(address: string): boolean {
  const groups = ipv6Groups(address);
  return typeof groups === 'string'
    ? isIPv4(groups) && groups.startsWith('127.')
    : groups.join('') === '00000001';
}

/** The eight groups of an IPv6 address; an IPv4 address, also a mapped one, and other text as text. */
function ipv6Groups(address: string): readonly string[] | string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail = ''] = (address.split('%', 1)[0] ?? '').split('::', 2);
  const left = groupsOf(head);
  const right = groupsOf(tail);
  // "::" represents the zero groups that are missing from eight.
  const zeros = address.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return groups.map((group) => Number.parseInt(group, 16).toString(16));
}

const groupsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
