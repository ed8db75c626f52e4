/** A row of IANA's registries, or a block of a platform. */
export interface SpecialBlock {
  /** CIDR notation. */
  readonly block: string;
  readonly name: string;
}

/**
 * IANA IPv4 Special-Purpose Address Registry (RFC 6890), all rows, also the few that are globally reachable: none of them
 * is an address of a service. Multicast (RFC 5771) is added.
 * https://www.iana.org/assignments/iana-ipv4-special-registry
 */
export const specialIpv4: readonly SpecialBlock[] = [
  { block: '0.0.0.0/8', name: 'this network' },
  { block: '10.0.0.0/8', name: 'private use' },
  { block: '100.64.0.0/10', name: 'shared address space' },
  { block: '127.0.0.0/8', name: 'loopback' },
  { block: '169.254.0.0/16', name: 'link local, metadata of clouds' },
  { block: '172.16.0.0/12', name: 'private use' },
  { block: '192.0.0.0/24', name: 'IETF protocol assignments' },
  { block: '192.0.2.0/24', name: 'documentation (TEST-NET-1)' },
  { block: '192.31.196.0/24', name: 'AS112-v4' },
  { block: '192.52.193.0/24', name: 'AMT' },
  { block: '192.88.99.0/24', name: 'deprecated (6to4 relay anycast)' },
  { block: '192.168.0.0/16', name: 'private use' },
  { block: '192.175.48.0/24', name: 'direct delegation AS112 service' },
  { block: '198.18.0.0/15', name: 'benchmarking' },
  { block: '198.51.100.0/24', name: 'documentation (TEST-NET-2)' },
  { block: '203.0.113.0/24', name: 'documentation (TEST-NET-3)' },
  { block: '224.0.0.0/4', name: 'multicast' },
  { block: '240.0.0.0/4', name: 'reserved, limited broadcast' },
  // Public by its number, and answered by the host of every virtual machine on Azure.
  { block: '168.63.129.16/32', name: 'Azure platform' },
];

/** What IANA has given out as global unicast so far (RFC 4291 section 2.4); everything else is refused. */
export const GLOBAL_UNICAST_IPV6 = '2000::/3';

/**
 * IANA IPv6 Special-Purpose Address Registry (RFC 6890), the rows inside of {@link GLOBAL_UNICAST_IPV6}. The others
 * (loopback, IPv4-mapped, NAT64, unique local, link local) and multicast are outside of it.
 * https://www.iana.org/assignments/iana-ipv6-special-registry
 */
export const specialIpv6: readonly SpecialBlock[] = [
  { block: '2001::/23', name: 'IETF protocol assignments, with Teredo, ORCHID and benchmarking' },
  { block: '2001:db8::/32', name: 'documentation' },
  { block: '2002::/16', name: '6to4' },
  { block: '2620:4f:8000::/48', name: 'direct delegation AS112 service' },
  { block: '3fff::/20', name: 'documentation' },
];
