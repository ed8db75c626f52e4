import { isIPv6 } from 'node:net';

const NETWORK_GROUPS = 4;

/**
 * The network that limits count by: an IPv4 address itself, and of an IPv6 address its first 64 bits, because one
 * subscriber has at least all addresses behind those (RFC 6177) and would have a fresh allowance with each. Text that
 * is no IPv6 address stays as it is.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = '', tail = ''] = (address.split('%', 1)[0] ?? '').split('::', 2);
  const left = groupsOf(head);
  const right = groupsOf(tail);
  // "::" stands for as many zero groups as are missing from eight.
  const zeros = address.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0;
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, NETWORK_GROUPS);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

const groupsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
