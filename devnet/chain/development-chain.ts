import { systemRandom } from '../../src/crypto/random.ts';
import type { ChainContent } from './content.ts';
import { type DevelopmentControls, developmentControls } from './controls.ts';
import { developmentMethods } from './development-methods.ts';
import { grandpaMethods } from './grandpa-methods.ts';
import { type JsonRpcServer, startJsonRpcServer, type Tamper } from './json-rpc-server.ts';
import { Ledger } from './ledger.ts';
import { type Lie, Lies, lyingUrl } from './lies/lies.ts';
import { lyingMethods } from './lies/lying-methods.ts';
import { nodeMethods } from './node-methods.ts';
import type { RpcMethods } from './rpc.ts';
import type { RuntimeShape } from './runtime.ts';
import { subscriptionMethods } from './subscription-methods.ts';
import type { StateVersion } from './trie/trie-node.ts';

/** How a development chain runs; everything has a default. */
export interface DevelopmentChainOptions {
  /** TCP port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  /** Time between blocks in milliseconds, default 500; 0 makes blocks only on demand. */
  readonly blockTimeMs?: number;
  /** How many blocks the finalized head is behind the best, default 2. */
  readonly finalityLag?: number;
  /** Accepted measurements in genesis, 32 bytes each. */
  readonly acceptedMeasurements?: readonly Uint8Array[];
  readonly chainName?: string;
  readonly shape?: RuntimeShape;
  readonly specVersion?: number;
  /**
   * Part of the genesis block, and what the authorities' keys follow from. Random by default, because a chain that
   * starts again without its state is another one.
   */
  readonly genesisSeed?: Uint8Array;
  /** State version of the trie, default 1. */
  readonly stateVersion?: StateVersion;
  /** Number of GRANDPA authorities in genesis, default 4. */
  readonly authorities?: number;
  /** Now and then an authority votes for a descendant or not at all, as on real chains; default no. */
  readonly variedVotes?: boolean;
  /**
   * The last block of each authority set is final by exactly enough votes, one of them by an authority that
   * equivocates; default no.
   */
  readonly equivocatingHandovers?: boolean;
  /**
   * Others sign in place of the authorities: with the genesis seed of another chain this is a fork of it that only a
   * look at the signers tells from the genuine one. Default no.
   */
  readonly impostors?: boolean;
  /** Clock of the blocks' timestamps, milliseconds. */
  readonly now?: () => number;
}

/** A running development chain. */
export interface DevelopmentChain extends DevelopmentControls, AsyncDisposable {
  /** `ws://127.0.0.1:port`. */
  readonly url: string;
  /** `0x` hash of block 0. */
  readonly genesisHash: string;
  /** The URL for connections that get lies; other connections get true answers. */
  lyingUrl(...lies: readonly Lie[]): string;
  /** Lets a test alter any result before it is sent. */
  setTamper(tamper: Tamper | undefined): void;
  /** Stops the timer, cuts all connections and frees the port. */
  close(): Promise<void>;
}

function genesisContent(options: DevelopmentChainOptions): ChainContent {
  return {
    servers: new Map(),
    validators: [],
    signers: [],
    acceptedMeasurements: options.acceptedMeasurements ?? [],
    overrides: new Map(),
    shape: options.shape ?? 'entropy-500',
    specVersion: options.specVersion ?? 500,
  };
}

function withMethodList(methods: RpcMethods): RpcMethods {
  const names = [...Object.keys(methods), 'rpc_methods'].sort();
  return { ...methods, rpc_methods: () => ({ methods: names }) };
}

/**
 * Starts a development chain: Substrate's JSON-RPC over WebSocket with the part of Entropy's state that key servers
 * and nodes read. It executes no extrinsics; `dev_…` methods change the state instead. Headers, state roots, read proofs
 * and finality justifications are real ones.
 * @throws when the port is taken.
 */
export async function startDevelopmentChain(
  options: DevelopmentChainOptions = {},
): Promise<DevelopmentChain> {
  const ledger = new Ledger({
    genesis: genesisContent(options),
    seed: options.genesisSeed ?? systemRandom(16),
    stateVersion: options.stateVersion ?? 1,
    authorities: options.authorities ?? 4,
    variedVotes: options.variedVotes ?? false,
    equivocatingHandovers: options.equivocatingHandovers ?? false,
    impostors: options.impostors ?? false,
    finalityLag: options.finalityLag ?? 2,
    now: options.now ?? Date.now,
  });
  let server: JsonRpcServer | undefined;
  const lies = new Lies();
  const controls = developmentControls(ledger, lies, () => server);
  const methods = withMethodList({
    ...lyingMethods(nodeMethods(ledger, options.chainName ?? 'Latchkey Development')),
    ...subscriptionMethods(ledger),
    ...grandpaMethods(ledger),
    ...developmentMethods(controls),
  });
  const listening = await startJsonRpcServer(options.port ?? 0, methods, lies);
  server = listening;
  const blockTimeMs = options.blockTimeMs ?? 500;
  const timer = blockTimeMs > 0 ? setInterval(() => ledger.newBlock(), blockTimeMs) : undefined;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    await listening.close();
  };
  return {
    ...controls,
    url: listening.url,
    genesisHash: ledger.hashOf(0) ?? '',
    lyingUrl: (...told) => lyingUrl(listening.url, told),
    setTamper: (tamper) => listening.setTamper(tamper),
    close,
    [Symbol.asyncDispose]: close,
  };
}
