import { equalBytes } from '../bytes/concat.ts';
import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex, tryFromHex } from '../bytes/hex.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import type { Clock } from '../time/clock.ts';
import type { ChainSnapshot } from './chain-view.ts';
import { readMapKeys } from './finalized-state.ts';
import type { JsonRpcSocket } from './json-rpc-socket.ts';
import type { PageSizes } from './page-size.ts';
import { MAX_FINALITY_PROOF_BYTES } from './proof/finality-proof.ts';
import { type FinalitySource, type FinalityTracker, ProvenBlock } from './proof/finality-tracker.ts';
import { type Header, headerFromJson } from './proof/header.ts';
import { MAX_JUSTIFICATION_BYTES } from './proof/justification.ts';
import { ProofMemory } from './proof/proof-memory.ts';
import { ProvenState } from './proof/trie-proof.ts';
import { hashAnswer, hexAnswer, listAnswer, objectAnswer } from './rpc-values.ts';
import { ENTROPY_TSS_INDEX } from './runtime-releases.ts';
import { type ProvenValues, SnapshotDecoder } from './snapshot-decoder.ts';
import { StaleChainError } from './stale-chain.ts';
import { mapKey, storageItems } from './storage-keys.ts';

/** Of all nodes of one read; a thousand servers with quotes have 5 to 16 MB. */
const MAX_PROOF_BYTES = 32 * 1024 * 1024;

/** What is shared by all endpoints of a chain that is read by proof: what one endpoint proved holds for all. */
export class ProvenChain {
  /** Begins at the measured checkpoint. */
  readonly finality: FinalityTracker;
  /** Oldest time of a proven block, by its Timestamp.Now, in milliseconds: an endpoint can withhold newer ones. */
  readonly maxBlockAgeMs: number;
  readonly clock: Clock;
  readonly memory = new ProofMemory();
  readonly decoder = new SnapshotDecoder();

  constructor(options: Pick<ProvenChain, 'finality' | 'maxBlockAgeMs' | 'clock'>) {
    this.finality = options.finality;
    this.maxBlockAgeMs = options.maxBlockAgeMs;
    this.clock = options.clock;
  }
}

const storageKey = (hex: string): Uint8Array => {
  const bytes = tryFromHex(hex);
  if (bytes === undefined) throw new TypeError('a storage key is 0x hex');
  return bytes;
};

const serversPrefix = storageKey(storageItems.thresholdServers.prefix);
const measurementsKey = mapKey(storageItems.acceptedMeasurementValues, Uint8Array.of(ENTROPY_TSS_INDEX));

/** All keys that are read, and the prefix of the servers' records in place of their keys. */
const plainKeys: readonly string[] = [
  storageItems.validators.prefix,
  storageItems.signers.prefix,
  storageItems.now.prefix,
  storageItems.lastRuntimeUpgrade.prefix,
  storageItems.acceptedMeasurementValues.prefix,
  storageItems.thresholdServers.prefix,
  measurementsKey,
];

/** @param told the last finalized head, in its JSON form, when it has this hash. */
function sourceOf(socket: JsonRpcSocket, told: (hash: BlockHash) => unknown): FinalitySource {
  return {
    async proveFinality(number) {
      const answer = await socket.request('grandpa_proveFinality', [number]);
      if (answer === null) return undefined;
      const isTooLong = typeof answer === 'string' && answer.length > 2 + 2 * MAX_FINALITY_PROOF_BYTES;
      if (isTooLong) throw new ProblemError('CHAIN_UNAVAILABLE', 'the endpoint’s finality proof is too long');
      return hexAnswer(answer, 'finality proof');
    },
    header: async (hash) => told(hash) ?? (await socket.request('chain_getHeader', [toPrefixedHex(hash)])),
  };
}

/** A finalized head as an endpoint sent it, with the hash and number of its content. */
interface ToldHead {
  readonly json: unknown;
  readonly header: Header;
}

function toldHead(json: unknown): ToldHead | undefined {
  try {
    return { json, header: headerFromJson(json) };
  } catch {
    // The header of the block is asked for, and that answer is judged.
    return undefined;
  }
}

/** One endpoint of a chain that is read by proof: none of its answers is trusted without a proof. */
export class ProvenReader {
  readonly #socket: JsonRpcSocket;
  readonly #source: FinalitySource;
  readonly #chain: ProvenChain;
  readonly #pages: PageSizes;
  readonly #lastHead: () => unknown;
  /** The last finalized head when the read began; it saves a request. */
  #head: ToldHead | undefined;
  /** The newest justification that the endpoint sent unasked, `0x` hex; decoded only when it is wanted. */
  #justification: string | undefined;

  /** @param lastHead the last finalized head that the endpoint sent, in its JSON form. */
  constructor(socket: JsonRpcSocket, chain: ProvenChain, pages: PageSizes, lastHead: () => unknown) {
    this.#pages = pages;
    this.#socket = socket;
    this.#lastHead = lastHead;
    this.#source = sourceOf(socket, (hash) =>
      this.#head !== undefined && equalBytes(this.#head.header.hash, hash) ? this.#head.json : undefined,
    );
    this.#chain = chain;
  }

  /**
   * Subscribes to justifications. Nodes that have kept none for `grandpa_proveFinality` yet (in the first authority set
   * of a chain) still send these; where there are none, proofs are asked for.
   */
  async listen(): Promise<void> {
    const note = (answer: unknown): void => {
      const isOne = typeof answer === 'string' && answer.length <= 2 + 2 * MAX_JUSTIFICATION_BYTES;
      if (isOne) this.#justification = answer;
    };
    await this.#socket.subscribe('grandpa_subscribeJustifications', note).catch(() => undefined);
  }

  /**
   * Reads the newest block that is proven final, at best the one that the endpoint calls finalized.
   * @throws EvidenceError CHAIN_PROOF_INVALID, CHAIN_FINALITY_UNPROVEN, CHAIN_AUTHORITIES_UNKNOWN; ProblemError
   *   CHAIN_UNAVAILABLE or CHAIN_SHAPE_UNKNOWN.
   */
  async read(genesisHash: BlockHash, number: number): Promise<ChainSnapshot> {
    const block = await this.#prove(number);
    const snapshot = this.#chain.decoder.decode(genesisHash, block, await this.#values(block));
    const stale = staleness(snapshot, this.#chain);
    if (stale !== undefined) throw stale;
    return snapshot;
  }

  /**
   * Reads a block before the newest one that is proven, whatever its age.
   * @throws as {@link read}; CHAIN_UNAVAILABLE too where the endpoint has dropped the state of the block.
   */
  async readAncestor(genesisHash: BlockHash, number: number): Promise<ChainSnapshot> {
    const block = await this.#chain.finality.ancestor(this.#source, number);
    return this.#chain.decoder.decode(genesisHash, block, await this.#values(block));
  }

  async #prove(number: number): Promise<ProvenBlock> {
    const { finality } = this.#chain;
    this.#head = toldHead(this.#lastHead());
    const justification = this.#justification;
    this.#justification = undefined;
    if (justification !== undefined) {
      try {
        const bytes = hexAnswer(justification, 'justification');
        const newest = await finality.acceptJustification(bytes, this.#source);
        if (newest !== undefined && newest.number >= number) return newest;
      } catch (error) {
        // Of a set that was not reached yet, or junk: a proof is asked for in any case.
        if (!(error instanceof LatchkeyError)) throw error;
      }
    }
    try {
      return await this.#advance(number);
    } catch (error) {
      // Nodes that keep no proof yet do send justifications, and the block that these prove can be read.
      const known = finality.newest;
      if (known === undefined || justification === undefined || !(error instanceof LatchkeyError))
        throw error;
      return known;
    }
  }

  async #advance(number: number): Promise<ProvenBlock> {
    const hash = await this.#hashOf(number);
    // After many changes of the set one call is not enough; each call continues where the last one stopped.
    for (let known = -1; ; ) {
      const block = await this.#chain.finality.advance(this.#source, { number, hash });
      if (block.number >= number || block.number <= known) return block;
      known = block.number;
    }
  }

  async #hashOf(number: number): Promise<BlockHash> {
    const header = this.#head?.header;
    if (header?.number === number) return header.hash;
    return hashAnswer(await this.#socket.request('chain_getBlockHash', [number]), `hash of block ${number}`);
  }

  /** Proves the values at a block. */
  async #values(block: ProvenBlock): Promise<ProvenValues> {
    if (!ProvenBlock.isProven(block)) throw new TypeError('only a proven block can be read by proof');
    const state = (await this.#stateIfUnchanged(block)) ?? (await this.#wholeState(block));
    const { validators, signers, now, lastRuntimeUpgrade, acceptedMeasurementValues } = storageItems;
    const value = (key: string): Uint8Array | undefined => state.value(storageKey(key));
    const values = {
      lastRuntimeUpgrade: value(lastRuntimeUpgrade.prefix),
      plainMeasurements: value(acceptedMeasurementValues.prefix),
      validators: value(validators.prefix),
      signers: value(signers.prefix),
      now: value(now.prefix),
      acceptedMeasurements: value(measurementsKey),
      thresholdServers: state.entries(serversPrefix),
    };
    state.remember();
    return values;
  }

  /** The state without the nodes of the records; `undefined` when the records differ from those proven last. */
  async #stateIfUnchanged(block: ProvenBlock): Promise<ProvenState | undefined> {
    if (!this.#chain.memory.hasEntries) return undefined;
    const state = await this.#stateOf(block, plainKeys);
    try {
      return state.knowsEntries(serversPrefix) ? state : undefined;
    } catch (error) {
      // The proof of all keys may show what this one does not.
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  async #wholeState(block: ProvenBlock): Promise<ProvenState> {
    const { prefix } = storageItems.thresholdServers;
    // What the endpoint says of its keys is only a help: a key that it leaves out is missing in the proof.
    const serverKeys = await readMapKeys(this.#socket, block.hash, prefix, this.#pages);
    return await this.#stateOf(block, [...plainKeys, ...serverKeys]);
  }

  async #stateOf({ hash, stateRoot }: ProvenBlock, keys: readonly string[]): Promise<ProvenState> {
    return await ProvenState.hashing(stateRoot, await this.#proofOf(keys, hash), this.#chain.memory);
  }

  async #proofOf(keys: readonly string[], at: BlockHash): Promise<readonly Uint8Array[]> {
    const nodes: Uint8Array[] = [];
    // Pages share nodes. Whole texts are no keys: V8 gives long texts of one length one hash, so a set of such texts
    // compares each with all others, which an endpoint could make last half a minute.
    const seen = new Map<string, string>();
    let left = 2 * MAX_PROOF_BYTES;
    const ask = (page: readonly string[]): Promise<unknown> =>
      this.#socket.request('state_getReadProof', [page, toPrefixedHex(at)]);
    for await (const [, answer] of this.#pages.provenKeys.pagesOf(keys, ask)) {
      for (const node of listAnswer(objectAnswer(answer, 'read proof')['proof'], 'read proof')) {
        if (typeof node !== 'string') continue;
        const sample = `${node.length} ${node.slice(0, 128)} ${node.slice(-128)}`;
        if (seen.get(sample) === node) continue;
        left -= node.length;
        if (left < 0)
          throw new ProblemError('CHAIN_UNAVAILABLE', `a read proof above ${MAX_PROOF_BYTES} bytes`);
        seen.set(sample, node);
        nodes.push(hexAnswer(node, 'read proof'));
      }
    }
    return nodes;
  }
}

/** How old a proven block is by its own time, in milliseconds; `undefined` when it has none. */
const ageOf = ({ block: { timestampMs } }: ChainSnapshot, { clock }: ProvenChain): number | undefined =>
  timestampMs === undefined ? undefined : clock.nowMs() - timestampMs;

/** Whether a proven block is young enough to be shown. */
export function isFresh(snapshot: ChainSnapshot, chain: ProvenChain): boolean {
  const ageMs = ageOf(snapshot, chain);
  return ageMs !== undefined && ageMs <= chain.maxBlockAgeMs;
}

/** The refusal of a proven block that is too old, or `undefined` when it is young enough. */
export function staleness(snapshot: ChainSnapshot, chain: ProvenChain): StaleChainError | undefined {
  if (isFresh(snapshot, chain)) return undefined;
  return new StaleChainError(snapshot.block, {
    ageMs: ageOf(snapshot, chain),
    maxAgeMs: chain.maxBlockAgeMs,
  });
}
