import { isIP } from 'node:net';
import { Memo } from '../../bytes/memo.ts';
import { KeyedLock } from '../../store/keyed-lock.ts';
import type { Destination } from './address-rules.ts';
import type { Resolve } from './name-servers.ts';

/** Names that are remembered; the one unused for longest makes room. */
const MAX_NAMES = 4096;
/** After this time a name is looked up again; until then, and while that fails, its former addresses count. */
const MAX_AGE_MS = 60_000;
const LOOKUPS_AT_ONCE = 8;

interface KnownName {
  addresses: readonly string[];
  askedAtMs: number;
  /** The lookup that is under way, or the last one. */
  lookup: Promise<void>;
  isAnswered: boolean;
}

/**
 * Addresses of the fleet's nodes. A name is looked up once in a minute at most, however many requests there are, and a
 * request waits for its first lookup only: a name server that does not answer holds up no other request.
 */
export class FleetAddresses {
  readonly #endpoints: () => readonly string[];
  readonly #resolve: Resolve;
  readonly #now: () => number;
  readonly #names = new Memo<KnownName>(MAX_NAMES);
  readonly #lanes = new KeyedLock<number>();
  #turn = 0;

  /** @param endpoints `host:port` of all nodes. @param resolve with a deadline of its own. */
  constructor(endpoints: () => readonly string[], resolve: Resolve, now: () => number) {
    this.#endpoints = endpoints;
    this.#resolve = resolve;
    this.#now = now;
  }

  /** All of them; a name that has no address just now cannot be reached either. */
  async all(): Promise<readonly Destination[]> {
    const known = this.#endpoints()
      .map(destinationOf)
      .map(async ({ address: host, port }) => {
        const addresses = isIP(host) === 0 ? await this.#addressesOf(host) : [host];
        return addresses.map((address) => ({ address, port }));
      });
    return (await Promise.all(known)).flat();
  }

  async #addressesOf(name: string): Promise<readonly string[]> {
    const known = this.#names.get(name, () => this.#first(name));
    if (!known.isAnswered) await known.lookup;
    else if (Math.abs(this.#now() - known.askedAtMs) >= MAX_AGE_MS) void this.#lookUp(name, known);
    return known.addresses;
  }

  #first(name: string): KnownName {
    const known = { addresses: [], askedAtMs: 0, lookup: Promise.resolve(), isAnswered: false };
    known.lookup = this.#lookUp(name, known);
    return known;
  }

  #lookUp(name: string, known: KnownName): Promise<void> {
    known.askedAtMs = this.#now();
    this.#turn = (this.#turn + 1) % LOOKUPS_AT_ONCE;
    return this.#lanes.run(this.#turn, async () => {
      const found = await this.#resolve(name).catch(() => []);
      if (found.length > 0) known.addresses = found;
      known.isAnswered = true;
    });
  }
}

/** `host:port`, with brackets around an IPv6 address; also with a scheme before it. */
function destinationOf(endpoint: string): Destination {
  const [, host = '', port = ''] = /^(?:https?:\/\/)?(.*?)(?::(\d+))?\/?$/.exec(endpoint) ?? [];
  return { address: host.replace(/^\[(.*)\]$/, '$1').toLowerCase(), port: Number(port) };
}
