import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { AddressRules } from './address-rules.ts';
import { FleetAddresses } from './fleet-addresses.ts';
import type { Resolve } from './name-servers.ts';
import type { OutgoingRequest } from './outgoing-request.ts';
import { Places } from './places.ts';
import { callUpstream, type UpstreamAnswer, type UpstreamBounds, upstreamTls } from './upstream.ts';

/** Addresses of one name that are judged and tried; its owner may give thousands, and each is compared with the fleet. */
const MAX_ADDRESSES = 32;

/** Bounds of a relay. */
export interface RelayBounds extends UpstreamBounds {
  /** Requests under way, altogether. */
  readonly maxConcurrent: number;
  /** Requests under way of one caller. */
  readonly maxConcurrentPerUser: number;
  /** Requests under way with secrets of one owner, of all callers together. */
  readonly maxConcurrentPerOwner: number;
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
  /** All addresses of this machine, as its interfaces have them now. */
  readonly ownAddresses: () => readonly string[];
  readonly resolve: Resolve;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Makes requests to upstream services, each within its bounds. */
export class Relay {
  readonly #parts: RelayParts;
  readonly #rules: AddressRules;
  readonly #tls: SecureContext;
  readonly #fleet: FleetAddresses;
  readonly #all: Places;
  readonly #callers: Places;
  readonly #owners: Places;
  readonly #stop = new AbortController();

  /** @throws RangeError when `allowAddresses` has a text that is no block. */
  constructor(parts: RelayParts) {
    const { maxConcurrent, maxConcurrentPerUser, maxConcurrentPerOwner, totalMs } = parts.bounds;
    this.#parts = parts;
    this.#rules = new AddressRules(parts.allowAddresses);
    this.#tls = upstreamTls(parts.authorities);
    const bounded: Resolve = async (name) => (await within(totalMs, parts.resolve(name))) ?? [];
    this.#fleet = new FleetAddresses(parts.fleet, bounded, parts.now);
    this.#all = new Places(maxConcurrent);
    this.#callers = new Places(maxConcurrentPerUser);
    this.#owners = new Places(maxConcurrentPerOwner);
  }

  /**
   * Takes a place for a request of a caller, before anything is recorded of it.
   * @returns what gives the place back.
   * @throws ProblemError SECRET_RELAY_BUSY.
   */
  enter(caller: AccountId): () => void {
    const leave = this.#all.take('');
    const leaveOwn = leave && this.#callers.take(toHex(caller));
    if (leave !== undefined && leaveOwn !== undefined)
      return () => {
        leaveOwn();
        leave();
      };
    leave?.();
    const { maxConcurrent, maxConcurrentPerUser } = this.#parts.bounds;
    throw busy(`at most ${maxConcurrent}, and ${maxConcurrentPerUser} of one caller`);
  }

  /**
   * Takes a place for a request with a secret of an owner: an owner may name many callers, who together must not hold
   * all places.
   * @returns what gives the place back.
   * @throws ProblemError SECRET_RELAY_BUSY.
   */
  enterFor(owner: AccountId): () => void {
    const leave = this.#owners.take(toHex(owner));
    if (leave !== undefined) return leave;
    throw busy(`at most ${this.#parts.bounds.maxConcurrentPerOwner} with secrets of one owner`);
  }

  /**
   * The addresses of a host that a request may go to.
   * @throws ProblemError SECRET_UPSTREAM_UNREACHABLE. RefusalError SECRET_ADDRESS_REFUSED, also when one of many
   *   addresses is not allowed.
   */
  async addressesOf({
    host,
    port,
    isTls,
  }: Pick<OutgoingRequest, 'host' | 'port' | 'isTls'>): Promise<readonly string[]> {
    const addresses = await this.#resolved(host);
    const surroundings = { fleet: await this.#fleet.all(), own: this.#parts.ownAddresses() };
    for (const address of addresses) this.#rules.judge({ address, port, isTls }, surroundings);
    return addresses;
  }

  /** As {@link callUpstream}. @param addresses from {@link addressesOf}. */
  call(outgoing: OutgoingRequest, addresses: readonly string[]): Promise<UpstreamAnswer> {
    const { bounds } = this.#parts;
    return callUpstream(outgoing, { addresses, bounds, tls: this.#tls, signal: this.#stop.signal });
  }

  /** Ends all requests that are under way. */
  close(): void {
    this.#stop.abort();
  }

  async #resolved(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const addresses = await within(this.#parts.bounds.totalMs, this.#parts.resolve(host));
    if (addresses !== undefined && addresses.length > 0) return addresses.slice(0, MAX_ADDRESSES);
    throw new ProblemError('SECRET_UPSTREAM_UNREACHABLE', 'the name of the upstream has no address', {
      field: 'url',
    });
  }
}

const busy = (expected: string): ProblemError =>
  new ProblemError('SECRET_RELAY_BUSY', 'too many requests are under way', { expected, retryAfterMs: 1000 });

/** `undefined` when it fails, or takes too long. */
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
