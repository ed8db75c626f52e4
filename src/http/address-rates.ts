import { networkOf, siteOf } from '../inbound/network-of.ts';
import { type Rate, TokenBuckets } from '../time/token-buckets.ts';

/** What one IPv6 /48 may have, in shares of one network; of connections it has as many. */
const NETWORKS_OF_SITE = 4;

/**
 * Limits requests by the address of their sender: an IPv4 address, an IPv6 /64, and all of an IPv6 /48 together, because
 * one subscriber may have its 65,536 networks.
 */
export class AddressRates {
  readonly #networks: TokenBuckets;
  readonly #sites: TokenBuckets;

  /** @param rate of one network; read again for each request, as a setting that a running node takes. */
  constructor(rate: Rate) {
    this.#networks = new TokenBuckets(rate);
    this.#sites = new TokenBuckets({
      get burst() {
        return NETWORKS_OF_SITE * rate.burst;
      },
      get perSecond() {
        return NETWORKS_OF_SITE * rate.perSecond;
      },
    });
  }

  /** Takes one request. Returns 0 when it may pass, else the milliseconds until the next one may. */
  take(address: string, nowMs: number): number {
    const site = siteOf(address);
    return (
      // A network that has used up its share takes nothing of what is for the site.
      this.#networks.take(networkOf(address), nowMs) ||
      (site === undefined ? 0 : this.#sites.take(site, nowMs))
    );
  }
}
