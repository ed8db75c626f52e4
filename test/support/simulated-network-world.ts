import { createDevelopmentPki, type DevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import type { OpenNode } from '../../src/boot/node/open-node.ts';
import { BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { CollateralSource } from '../../src/collateral/collateral-source.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { insecureTrustRoot, QuoteVerifier } from '../../src/tdx/verify-quote.ts';
import type { CustodySet } from '../../src/trust/custody-set.ts';
import { noPlatformLists } from '../../src/trust/platform-lists.ts';
import { trustHash } from '../../src/trust/trust-hash.ts';
import { parseTrustSection, type TrustSection } from '../../src/trust/trust-section.ts';
import { START_MS } from './collateral-world.ts';
import { type Dice, seededDice } from './disk-dice.ts';
import { type MemoryChain, memoryChain } from './memory-chain.ts';
import { RememberingVerifier, SwiftPki } from './remembered-quotes.ts';
import { VirtualClock } from './simulated-network-clock.ts';
import type { SimulatedNode } from './simulated-network-node.ts';
import { Wire } from './simulated-network-wire.ts';

/** The trust section of a network that asks for no other. */
export const defaultTrust = parseTrustSection({ chain: { genesisHash: `0x${'00'.repeat(32)}` } });

/** What a genuine machine under a trust section measures. @param image number of the image; 0 is the first one. */
export const bodyUnder = (trust: TrustSection, image = 0) => ({
  ...developmentMeasurements,
  ...(image === 0 ? {} : { rtMr1: new Uint8Array(48).fill(image) }),
  mrConfigId: trustHash(trust),
});

/** What every genuine machine of a network under {@link defaultTrust} measures: the image, and the trust hash. */
export const ownBody = bodyUnder(defaultTrust);

/** Which signatures the quotes of a network get, and how often they are verified. */
export type SignatureMode =
  /** By OpenSSL, each quote verified once. */
  | 'once'
  /** By the stand-ins of {@link withStandInCrypto}, in which the whole network must run; each quote verified once. */
  | 'stand-in'
  /** By the development PKI, each quote verified every time that it is shown. */
  | 'every-time';

/** One PKI and one verifier of each kind for all runs: certificates are parsed once. */
const seed = new Uint8Array(32).fill(7);
const pki = createDevelopmentPki({ seed });
const trustRoot = insecureTrustRoot(pki.rootPem);
const signatures: Readonly<
  Record<SignatureMode, { readonly pki: DevelopmentPki; readonly verifier: QuoteVerifier }>
> = {
  once: { pki: new SwiftPki(seed), verifier: new RememberingVerifier({ trustRoot }) },
  'stand-in': { pki: new SwiftPki(seed), verifier: new RememberingVerifier({ trustRoot }) },
  'every-time': { pki, verifier: new QuoteVerifier({ trustRoot }) },
};
const documents = pki.collateral({ nowMs: START_MS });

const collateral: CollateralSource = {
  graceMs: 0,
  collateralFor: async () => ({ documents, state: 'fresh', validUntilMs: START_MS + 20 * 86_400_000 }),
  status: () => [],
  async close() {},
  async [Symbol.asyncDispose]() {},
};

const unlimited = { burst: 1_000_000, perSecond: 1_000_000 };

const defaultConfig: Config = configSchema.parse({
  node: { dataFolder: '/data' },
  chain: { endpoints: ['ws://chain.invalid'] },
  quote: { source: 'configfs' },
  collateral: { endpoints: ['http://collateral.invalid'] },
  trust: defaultTrust,
  limits: { perAddress: unlimited, perPlatform: unlimited, maxKeysPerPlatformAndAccount: 10_000 },
  healing: {
    intervalMs: 8_000,
    retryMinMs: 500,
    retryMaxMs: 8_000,
    patienceMs: 15_000,
    peerDeadlineMs: 2_000,
    formerClientsDeadlineMs: 30_000,
    attestationIntervalMs: 60_000,
  },
  fleet: { sources: ['http://manifests.invalid/'], intervalMs: 5_000 },
});

/** As {@link defaultConfig}; a node that gets nowhere asks less often, and manifests are asked for less often. */
const patientConfig: Config = configSchema.parse({
  ...defaultConfig,
  healing: { ...defaultConfig.healing, retryMaxMs: 24_000 },
  fleet: { ...defaultConfig.fleet, intervalMs: 8_000 },
});

/** What was true of a store when it was first put into place, or when its key was changed. */
interface Birth {
  readonly account: string;
  /** The key that it was made with, and those that the node itself gave it later. */
  readonly storeKeys: Set<string>;
}

/** What a network may be asked for. */
export interface WorldOptions {
  /** Whether nodes that get nowhere ask less often than by default, and all nodes less often for manifests. */
  readonly isPatient?: boolean;
}

/** Everything that the machines of one simulated network share, and what the world knows of the truth. */
export class SimulatedWorld {
  readonly seed: number;
  readonly dice: Dice;
  readonly clock = new VirtualClock(START_MS);
  readonly chain: MemoryChain = memoryChain({ timestampMs: START_MS });
  readonly wire: Wire;
  readonly pki: DevelopmentPki;
  readonly verifier: QuoteVerifier;
  /** What the fleet says about platforms now, where nodes follow no manifests. */
  platformLists = noPlatformLists;
  /** The text at the source of manifests of a machine, by its name; `undefined` while it is silent. */
  manifestsFor: (machine: string) => string | undefined = () => undefined;
  /** What the host of a machine shows it instead of every source, servers included; `undefined`: it changes nothing. */
  hidesManifests: (machine: string) => string | undefined = () => undefined;
  readonly collateral = collateral;
  readonly config: Config;
  /** What every genuine machine measures; in a fleet that moves, the machines of its first release. */
  readonly body: typeof ownBody;
  /** The custodians of processes that start from now on, as if the trust section had changed on all machines at once. */
  changedCustody: { readonly set: CustodySet | undefined } | undefined;
  /** Quotes (base64) that a genuine machine under the trust section made, and which machine. */
  readonly genuineQuotes = new Map<string, string>();
  readonly #births = new Map<string, Birth>();
  /** Ids (hex) of stores that a host made, and whose keys it knows. */
  readonly hostMadeStores = new Set<string>();
  readonly violations: string[] = [];
  /** All machines, running or not. */
  machines: readonly SimulatedNode[] = [];
  /** What was done, to explain a failing run. */
  readonly history: string[] = [];
  blockNumber = 1;
  blockHash = BlockHash.of(new Uint8Array(32));

  constructor(
    seed: number,
    mode: SignatureMode = 'once',
    trust: TrustSection = defaultTrust,
    { isPatient = false }: WorldOptions = {},
  ) {
    this.seed = seed;
    this.config = { ...(isPatient ? patientConfig : defaultConfig), trust };
    this.body = bodyUnder(trust);
    this.pki = signatures[mode].pki;
    this.verifier = signatures[mode].verifier;
    this.dice = seededDice(seed);
    this.wire = new Wire(this.clock, seededDice(seed + 1));
    this.wire.onExchange = ({ from, path, body, answer, served }) => {
      if (served && path === '/request-encryption-key' && answer.status === 200)
        this.#requireGenuine(from, body);
    };
    this.chain.subscribe(({ block }) => {
      this.blockNumber = block.number;
      this.blockHash = block.hash;
    });
  }

  /** Told of every machine that is powered on, before its process starts: it may get another release. */
  onPower: (machine: SimulatedNode) => void = () => undefined;
  /** Told of every process that starts, before it does anything. */
  onStart: (machine: SimulatedNode) => void = () => undefined;
  /** Told of every store that opens. */
  onOpened: (machine: SimulatedNode) => void = () => undefined;
  /** Told of every server that begins to lie. */
  onLie: (machine: SimulatedNode) => void = () => undefined;

  /** One more block, which changes no record. */
  nextBlock(): void {
    const { block } = this.chain.extend(this.clock.nowMs());
    this.blockNumber = block.number;
    this.blockHash = block.hash;
  }

  /** Notes something that must never happen. */
  fail(violation: string): void {
    this.violations.push(violation);
  }

  note(what: string): void {
    this.history.push(`${((this.clock.nowMs() - START_MS) / 1000).toFixed(1)} s: ${what}`);
  }

  /** Invariant: a store opens with the key and account with which a node made it, or not at all. */
  opened(machine: SimulatedNode, { identity, storeId, storeKey }: OpenNode): void {
    const account = toHex(identity.account);
    const key = toHex(storeKey.reveal());
    const name = toHex(storeId);
    const born = this.#births.get(name);
    if (this.hostMadeStores.has(name)) this.fail(`${machine.name} opened a store that the host made`);
    this.note(`${machine.name} opened store ${name.slice(0, 8)}`);
    this.onOpened(machine);
    if (born === undefined) this.#births.set(name, { account, storeKeys: new Set([key]) });
    else if (born.account !== account || !born.storeKeys.has(key)) {
      this.fail(`${machine.name} opened store ${name} with another key or account`);
    }
  }

  /** A node has changed its store key: older disks still open with the former one. */
  keyChanged({ storeId, storeKey }: OpenNode): void {
    this.#births.get(toHex(storeId))?.storeKeys.add(toHex(storeKey.reveal()));
  }

  /** Invariant: no key leaves without a quote that a genuine machine made for exactly this request. */
  #requireGenuine(from: string, body: unknown): void {
    const quote = typeof body === 'object' && body !== null && 'quote' in body ? String(body.quote) : '';
    if (!this.genuineQuotes.has(quote)) this.fail(`a key left for ${from} without a genuine quote`);
  }
}
