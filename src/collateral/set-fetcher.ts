import { LatchkeyError } from '../errors/latchkey-error.ts';
import type { Log } from '../observe/log.ts';
import type { CollateralDocuments } from '../tdx/collateral.ts';
import type { CollateralFacts } from '../tdx/verify-quote.ts';
import type { NewestSeen } from './generation.ts';
import { type HeldSet, pastItsTime } from './platform-collateral.ts';
import type { PlatformKind } from './platform-kind.ts';
import { type ServiceClient, ServiceFailure } from './service-client.ts';

/** Verifies a set for a kind of platform as of now. @throws EvidenceError with the code of the first flaw. */
export type SetCheck = (documents: CollateralDocuments, platform: PlatformKind) => CollateralFacts;

/** Asks services one after another until one gives a set that passes verification. */
export class SetFetcher {
  readonly #clients: readonly ServiceClient[];
  readonly #check: SetCheck;
  readonly #newest: NewestSeen;
  readonly #log: Log;

  constructor(clients: readonly ServiceClient[], check: SetCheck, newest: NewestSeen, log: Log) {
    this.#clients = clients;
    this.#check = check;
    this.#newest = newest;
    this.#log = log;
  }

  /**
   * A fresh set if any service has one; otherwise one that is within the grace.
   * @throws ServiceFailure with the reason of each service.
   */
  async fetch(platform: PlatformKind): Promise<HeldSet> {
    const reasons: string[] = [];
    let second: HeldSet | undefined;
    for (const client of this.#clients) {
      try {
        const held = await this.#fetchFrom(client, platform);
        if (held.facts.state === 'fresh') return held;
        second ??= held;
        reasons.push(pastItsTime(client.url));
      } catch (error) {
        reasons.push(`${client.url}: ${this.#reason(error, client)}`);
      }
    }
    if (second !== undefined) return second;
    throw new ServiceFailure(reasons.join('; '));
  }

  async #fetchFrom(client: ServiceClient, platform: PlatformKind): Promise<HeldSet> {
    const documents = await client.fetchSet(platform);
    const facts = this.#check(documents, platform);
    this.#newest.requireNotOlder(facts);
    return { documents, facts, origin: client.url };
  }

  /** Bad evidence from a service is worth a warning of its own: it is either broken or lying. */
  #reason(error: unknown, client: ServiceClient): string {
    if (error instanceof ServiceFailure) return error.message;
    if (!(error instanceof LatchkeyError)) throw error;
    this.#log('warn', 'collateral.refused', {
      endpoint: client.url,
      code: error.code,
      message: error.message,
    });
    return `${error.code}: ${error.message}`;
  }
}
