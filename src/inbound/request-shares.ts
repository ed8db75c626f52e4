import type { ServerResponse } from 'node:http';
import { networkOf, siteOf } from './network-of.ts';

/** How many requests one part of the network may have under way. */
export interface RequestBounds {
  /** From one IPv4 address or one IPv6 /64 ({@link networkOf}). */
  readonly maxRequestsPerNetwork: number;
  /** From one IPv6 /48 ({@link siteOf}). */
  readonly maxRequestsPerSite: number;
}

/** Counts the requests that have no complete answer yet, by the part of the network that they are from. */
export class RequestShares {
  readonly #bounds: RequestBounds;
  readonly #underWay = new Map<string, number>();

  constructor(bounds: RequestBounds) {
    this.#bounds = bounds;
  }

  /** Counts a request until its answer is closed. @returns false, and does not count it, where a share is full. */
  enter(address: string, outgoing: ServerResponse): boolean {
    const { maxRequestsPerNetwork, maxRequestsPerSite } = this.#bounds;
    const network = networkOf(address);
    const site = siteOf(address);
    if (this.#count(network) >= maxRequestsPerNetwork) return false;
    if (site !== undefined && this.#count(site) >= maxRequestsPerSite) return false;
    const names = site === undefined ? [network] : [network, site];
    for (const name of names) this.#underWay.set(name, this.#count(name) + 1);
    outgoing.once('close', () => {
      for (const name of names) {
        const left = this.#count(name) - 1;
        if (left === 0) this.#underWay.delete(name);
        else this.#underWay.set(name, left);
      }
    });
    return true;
  }

  #count(name: string): number {
    return this.#underWay.get(name) ?? 0;
  }
}
