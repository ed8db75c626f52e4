import { BlockList, isIP } from 'node:net';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ServerRecord } from '../chain/chain-view.ts';
import { isServerEndpoint } from '../chain/endpoint.ts';

/** One server to ask by its open port. */
export interface ServerTarget {
  /** A URL without a slash at its end; or an endpoint of the chain that is no address. */
  readonly target: string;
  /** SS58: the account that the chain shows there; an answer of another one counts for nothing. */
  readonly account?: string;
  /** Why it is not asked. */
  readonly notAsked?: string;
}

/** Addresses of the own machine, and of the link: services of a cloud that tell secrets to their machines are there. */
const local = new BlockList();
for (const [network, bits, family] of [
  ['0.0.0.0', 8, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['::', 127, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const)
  local.addSubnet(network, bits, family);
local.addAddress('fd00:ec2::254', 'ipv6');

/** Whether an endpoint of the chain (`host:port`) names the machine that asks, or its link. */
function isLocal(endpoint: string): boolean {
  const { hostname } = new URL(`http://${endpoint}`);
  const host = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  if (family === 0) return /(?:^|\.)localhost\.?$/i.test(host);
  return local.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/**
 * The servers of the chain as targets. Each account writes its own address there, so one that names the asking machine
 * or its link is not asked, unless all do: then it is a development network on one machine.
 */
export function serverTargets(
  servers: readonly Pick<ServerRecord, 'account' | 'endpoint'>[],
): readonly (ServerTarget & { readonly account: string })[] {
  const isOnOneMachine = servers.every(({ endpoint }) => isServerEndpoint(endpoint) && isLocal(endpoint));
  return servers.map(({ account, endpoint }) => {
    const name = encodeSs58(account);
    if (!isServerEndpoint(endpoint))
      return { target: endpoint, account: name, notAsked: 'its endpoint on the chain is no address' };
    const target = { target: `http://${endpoint}`, account: name };
    return isLocal(endpoint) && !isOnOneMachine
      ? { ...target, notAsked: 'its endpoint on the chain names the machine that asks' }
      : target;
  });
}
