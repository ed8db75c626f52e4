import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { RefusalError } from '../../errors/latchkey-error.ts';
import { GLOBAL_UNICAST_IPV6, specialIpv4, specialIpv6 } from './special-addresses.ts';

/** An address and port to which the relay would connect. */
export interface Destination {
  /** IPv4 or IPv6, as the resolver gives it. */
  readonly address: string;
  readonly port: number;
}

/** Where the relay must not go although the addresses are global unicast. */
export interface Surroundings {
  /** Addresses and ports of the fleet's nodes, which speak HTTP without TLS. */
  readonly fleet: readonly Destination[];
  /** All addresses of this machine. */
  readonly own: readonly string[];
}

const special = blockListOf([...specialIpv4, ...specialIpv6].map(({ block }) => block));
const globalIpv6 = blockListOf([GLOBAL_UNICAST_IPV6]);

/** Whether an address is global unicast and in no block of a special purpose. */
export function isGlobalUnicast(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  return isPlainIpv6(address) && globalIpv6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/** An address with a zone belongs to one link. */
const isPlainIpv6 = (address: string): boolean => isIPv6(address) && !address.includes('%');

/**
 * Reads a block of addresses: an address, or CIDR notation.
 * @returns `undefined` for another text.
 */
export function parseBlock(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', prefix, ...rest] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return undefined;
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  const most = family === 'ipv4' ? 32 : 128;
  const bits = prefix === undefined ? most : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
  return bits >= 0 && bits <= most ? { address, bits, family } : undefined;
}

/** @throws RangeError for a text that is no block. */
function blockListOf(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of blocks) {
    const block = parseBlock(text);
    if (block === undefined) throw new RangeError(`${text} is no block of addresses`);
    list.addSubnet(block.address, block.bits, block.family);
  }
  return list;
}

/**
 * Decides where the relay connects to. A name is resolved once, all of its addresses are judged, and the connection goes
 * to one of these addresses: a resolver that changes its mind changes nothing.
 */
export class AddressRules {
  readonly #allowed: BlockList;

  /** @param allowed blocks that the operator allows although they are not global unicast. @throws RangeError. */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = blockListOf(allowed);
  }

  /**
   * @param around addresses and ports of the fleet's nodes, and all addresses of this machine. The machine is as its
   *   loopback: only the operator's list allows it. A port of a node is never allowed in clear. By TLS it is, because nodes do
   *   not speak it: otherwise a server that names a service as its endpoint on the chain could keep relays from it.
   * @throws RefusalError SECRET_ADDRESS_REFUSED. The message does not say which address: it would map a private network.
   */
  judge(
    { address, port, isTls }: Destination & { readonly isTls: boolean },
    { fleet, own }: Surroundings,
  ): void {
    const isThis = sameAs(address);
    const isNode = !isTls && fleet.some((node) => node.port === port && isThis(node.address));
    const isOpen = isGlobalUnicast(address) && !own.some(isThis);
    if (!isNode && (isOpen || this.#isAllowed(address))) return;
    throw new RefusalError('SECRET_ADDRESS_REFUSED', 'the URL leads to an address that is not allowed', {
      field: 'url',
      expected: 'global unicast addresses, none of this machine, and no port of a node of this fleet',
      hint: 'the operator can allow addresses in secrets.relay.allowAddresses',
    });
  }

  #isAllowed(address: string): boolean {
    if (isIPv4(address)) return this.#allowed.check(address, 'ipv4');
    // BlockList takes an IPv4-mapped address as the IPv4 address in it.
    return isPlainIpv6(address) && !isMapped(address) && this.#allowed.check(address, 'ipv6');
  }
}

const mapped = blockListOf(['::ffff:0:0/96']);
const isMapped = (address: string): boolean => mapped.check(address, 'ipv6');

/** Tells whether a text is this address; IPv6 has many texts for each. Made once for all texts, because that costs most. */
function sameAs(address: string): (text: string) => boolean {
  if (isIPv4(address)) return (text) => text === address;
  if (!isPlainIpv6(address)) return () => false;
  const list = blockListOf([address]);
  return (text) => isPlainIpv6(text) && list.check(text, 'ipv6');
}
