import { isIP } from 'node:net';
import { toHex } from '../../bytes/hex.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { AddressRules, type Destination } from './address-rules.ts';
import type { OutgoingRequest } from './outgoing-request.ts';
import { callUpstream, type UpstreamAnswer, type UpstreamBounds } from './upstream.ts';

/** All addresses of a name, IPv4 and IPv6. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** Bounds of a relay. */
export interface RelayBounds extends UpstreamBounds {
  /** Requests under way, altogether. */
  readonly maxConcurrent: number;
  /** Requests under way of one caller. */
  readonly maxConcurrentPerUser: number;
}

/** What a relay is made of. */
export interface RelayParts {
  readonly bounds: RelayBounds;
  /** Blocks of addresses that the operator allows. */
  readonly allowAddresses: readonly string[];
  /** Certificates of authorities in PEM, in addition to those of Node.js. */
  readonly authorities: readonly string[];
  /** `host:port` of all nodes of the fleet. */
  readonly fleet: () => readonly string[];
  readonly resolve: Resolve;
}

/** Makes requests to upstream services, each within its bounds. */
export class Relay {
  readonly #parts: RelayParts;
  readonly #rules: AddressRules;
  readonly #running = new Map<string, number>();
  readonly #stop = new AbortController();
  #all = 0;

  /** @throws RangeError when `allowAddresses` has a text that is no block. */
  constructor(parts: RelayParts) {
    this.#parts = parts;
    this.#rules = new AddressRules(parts.allowAddresses);
  }

  /**
   * Takes a place for a request of a user, before anything is recorded of it.
   * @returns what gives the place back.
   * @throws ProblemError SECRET_RELAY_BUSY.
   */
  enter(user: AccountId): () => void {
    const name = toHex(user);
    const own = this.#running.get(name) ?? 0;
    const { maxConcurrent, maxConcurrentPerUser } = this.#parts.bounds;
    if (this.#all >= maxConcurrent || own >= maxConcurrentPerUser)
      throw new ProblemError('SECRET_RELAY_BUSY', 'too many requests are under way', {
        expected: `at most ${maxConcurrent}, and ${maxConcurrentPerUser} of one caller`,
        retryAfterMs: 1000,
      });
    this.#all += 1;
    this.#running.set(name, own + 1);
    return () => {
      this.#all -= 1;
      const left = (this.#running.get(name) ?? 1) - 1;
      if (left === 0) this.#running.delete(name);
      else this.#running.set(name, left);
    };
  }

  /**
   * The addresses of a host that a request may go to.
   * @throws ProblemError SECRET_UPSTREAM_UNREACHABLE. RefusalError SECRET_ADDRESS_REFUSED, also when one of many
   *   addresses is not allowed.
   */
  async addressesOf({
    host,
    port,
  }: {
    readonly host: string;
    readonly port: number;
  }): Promise<readonly string[]> {
    const addresses = await this.#resolved(host);
    const fleet = await this.#fleet();
    for (const address of addresses) this.#rules.judge({ address, port }, fleet);
    return addresses;
  }

  /** As {@link callUpstream}. @param addresses from {@link addressesOf}. */
  call(outgoing: OutgoingRequest, addresses: readonly string[]): Promise<UpstreamAnswer> {
    const { bounds, authorities } = this.#parts;
    return callUpstream(outgoing, { addresses, bounds, authorities, signal: this.#stop.signal });
  }

  /** Ends all requests that are under way. */
  close(): void {
    this.#stop.abort();
  }

  async #resolved(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const addresses = await within(this.#parts.bounds.totalMs, this.#parts.resolve(host));
    if (addresses !== undefined && addresses.length > 0) return addresses;
    throw new ProblemError('SECRET_UPSTREAM_UNREACHABLE', 'the name of the upstream has no address', {
      field: 'url',
    });
  }

  /** Addresses of the fleet's nodes; a name that has none just now cannot be reached either. */
  async #fleet(): Promise<readonly Destination[]> {
    const endpoints = this.#parts.fleet().map(destinationOf);
    const resolved = endpoints.map(async ({ address: host, port }) => {
      const addresses = await this.#resolved(host).catch((error: unknown) => {
        if (!(error instanceof LatchkeyError)) throw error;
        return [];
      });
      return addresses.map((address) => ({ address, port }));
    });
    return (await Promise.all(resolved)).flat();
  }
}

/** `host:port`, with brackets around an IPv6 address; also with a scheme before it. */
function destinationOf(endpoint: string): Destination {
  const [, host = '', port = ''] = /^(?:https?:\/\/)?(.*?)(?::(\d+))?\/?$/.exec(endpoint) ?? [];
  return { address: host.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port: Number(port) };
}

/** `undefined` when it fails, or takes too long: the resolver of the system has no deadline. */
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
