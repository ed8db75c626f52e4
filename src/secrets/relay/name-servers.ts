import { Resolver } from 'node:dns/promises';

/** All addresses of a name, IPv4 and IPv6; none when it has none, or no server answers in time. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** For the first answer of one server; the second try takes longer. */
const ANSWER_MS = 1_500;
const TRIES = 2;

/**
 * Asks the name servers of the system, each for a bounded time. Not by its resolver (getaddrinfo): that has few threads
 * and no deadline, so one name server that does not answer would hold up all other lookups of this process. It reads
 * /etc/resolv.conf, and not /etc/hosts.
 * @param options.servers `address:port`, in place of those of the system.
 */
export function resolveByNameServers(
  options: { readonly servers?: readonly string[]; readonly answerMs?: number } = {},
): Resolve {
  const { servers, answerMs = ANSWER_MS } = options;
  return async (name) => {
    const resolver = new Resolver({ timeout: answerMs, tries: TRIES });
    if (servers !== undefined) resolver.setServers(servers);
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    return found.flatMap((family) => (family.status === 'fulfilled' ? family.value : []));
  };
}
