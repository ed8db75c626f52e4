import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { FleetRules } from '../../src/fleet/fleet-body.ts';
import type { Manifest } from '../../src/fleet/manifest.ts';
import { writeManifestList } from '../../src/fleet/manifest-file.ts';
import type { PlatformList } from '../../src/fleet/platform-list.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { type PlatformPolicy, parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import { type AuthorityWorld, network } from './fleet-world.ts';
import { hashOf } from './platform-worlds.ts';
import type { SimulatedNetwork } from './simulated-network.ts';

/** The delay of the authority in stories: short, because every node looks at its slots meanwhile. */
export const STORY_DELAY_MS = 60_000;

/** A trust section under an authority; `mark` tells sections of one story apart. */
export const sectionUnder = (
  { authority }: AuthorityWorld,
  platforms: Partial<PlatformPolicy> = {},
  mark = 0,
): TrustSection =>
  parseTrustSection({
    chain: { genesisHash: toPrefixedHex(network) },
    authority: { ...authority, delayMs: STORY_DELAY_MS },
    platforms: { recover: 'any', servers: 'registered', clients: 'any', ...platforms },
    freshness: { tcbGraceMs: mark },
  });

/** The entries of a manifest that accept trust sections. */
export const accepting = (sinceMs: number, ...sections: readonly TrustSection[]): Partial<FleetRules> => ({
  trustHashes: sections
    .map((section) => ({ hash: toPrefixedHex(trustHash(section)), since: sinceMs }))
    .sort((a, b) => (a.hash < b.hash ? -1 : 1)),
});

/** A list of development platforms by their numbers. */
export const listOf = (
  { world }: SimulatedNetwork,
  sinceMs: number,
  platforms: readonly number[],
): PlatformList => ({
  version: 1,
  platforms: platforms
    .map((number) => ({
      platform: toPrefixedHex(hashOf(world.pki, number)),
      owner: 'story',
      place: 'here',
      since: sinceMs,
    }))
    .sort((a, b) => (a.platform < b.platform ? -1 : 1)),
});

/** The operators of a fleet: they sign manifests and put them where all machines look. */
export class FleetOperators {
  readonly #net: SimulatedNetwork;
  #authority: AuthorityWorld;
  #serial = 0;

  constructor(net: SimulatedNetwork, authority: AuthorityWorld) {
    this.#net = net;
    this.#authority = authority;
  }

  /** Signs the next manifest. */
  sign(
    content: Partial<FleetRules>,
    lists: { readonly endorsed?: PlatformList; readonly revoked?: PlatformList } = {},
    previous?: Manifest,
  ): Manifest {
    this.#serial += 1;
    const issuedAtMs = this.#net.world.clock.nowMs();
    const from = previous === undefined ? {} : { previous: previous.header.hash };
    return this.#authority.issue(content, { serial: this.#serial, issuedAtMs, ...from }, lists);
  }

  /** From now on these keys sign. */
  follow(successor: AuthorityWorld): void {
    this.#authority = successor;
    this.#serial = 0;
  }

  /** Puts manifests where all machines look, or some. */
  publish(manifests: readonly Manifest[], isFor: (machine: string) => boolean = () => true): void {
    const { world } = this.#net;
    const text = JSON.stringify(
      writeManifestList(manifests.map(({ header, parts }) => ({ signed: header.signed, ...parts }))),
    );
    const before = world.manifestsFor;
    world.manifestsFor = (machine) => (isFor(machine) ? text : before(machine));
  }
}
