import { equalBytes } from '../../bytes/concat.ts';
import { BlockHash } from '../../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import { type AuthorityChange, authorityChange } from './authority-change.ts';
import { AuthoritySet } from './authority-set.ts';
import { decodeFinalityProof, type UnknownHeaders } from './finality-proof.ts';
import { detachedHeader, type Header, headerFromJson } from './header.ts';
import { decodeJustification, type Justification, verifyJustification } from './justification.ts';
import { invalidProof, unproven } from './proof-errors.ts';

/** The source of the evidence: an RPC endpoint; nothing that it sends is trusted. */
export interface FinalitySource {
  /** The bytes of `grandpa_proveFinality`; `undefined` when the endpoint has no proof (`null`). */
  proveFinality(number: number): Promise<Uint8Array | undefined>;
  /** The answer of `chain_getHeader`, in its JSON form. */
  header(hash: BlockHash): Promise<unknown>;
}

/** A block as an endpoint names it. */
export interface BlockTarget {
  readonly number: number;
  readonly hash: Uint8Array;
}

/**
 * Where trust in a chain begins: a final block, and the authorities in office *after* it, as `GrandpaApi` gives them at
 * that block. They count with weight 1 each, which is what Substrate's pallets give.
 */
export interface Checkpoint {
  readonly blockNumber: number;
  /** 32 bytes. */
  readonly blockHash: Uint8Array;
  /** Id of the set that finalizes the next block. */
  readonly authoritySetId: number;
  /** Ed25519 public keys, 32 bytes each. */
  readonly authorities: readonly Uint8Array[];
}

/** Known to this file alone, so that only a tracker makes a {@link ProvenBlock}. */
const constructorKey = Symbol('FinalityTracker');

/** A block that was proven final to a {@link FinalityTracker}; a copy with other fields is not a ProvenBlock. */
export class ProvenBlock implements BlockTarget {
  readonly #proof = true;
  readonly number: number;
  readonly hash: BlockHash;
  /** Root of the state after this block, for `ProvenState`; 32 bytes. */
  readonly stateRoot: Uint8Array;
  readonly header: Header;

  /** @throws TypeError without the key of this file. */
  constructor(key: typeof constructorKey, verified: Header) {
    if (key !== constructorKey) throw new TypeError('a ProvenBlock is made by FinalityTracker only');
    this.header = detachedHeader(verified);
    this.number = this.header.number;
    this.hash = this.header.hash;
    this.stateRoot = this.header.stateRoot;
    Object.freeze(this);
  }

  /** Whether a value is a proven block and not a copy of it. */
  static isProven(value: object): value is ProvenBlock {
    return #proof in value && value.#proof;
  }
}

/** Limits on the cost of one call. */
export interface TrackerLimits {
  /** Authority sets that one call walks through. */
  readonly maxHandovers: number;
  /** Total bytes of proofs after which a call requests no further proof. Each proof is bounded too. */
  readonly maxProofBytes: number;
}

/** Enough for two weeks of sets of four hours; the next call continues from there. */
export const defaultTrackerLimits: TrackerLimits = { maxHandovers: 84, maxProofBytes: 64 * 1024 * 1024 };

/** Replaced as a whole and only without waiting in between, so that concurrent calls never see half of a step. */
interface State {
  readonly block: BlockTarget;
  /** Missing while only the checkpoint is known: the header of that block has not been received yet. */
  readonly newest: ProvenBlock | undefined;
  /** The set that finalizes the blocks after `block`. */
  readonly authorities: AuthoritySet;
}

/** An unverified justification with its headers, when there are any. */
interface Evidence {
  readonly justification: Justification;
  /** The justified header, and those before it; to be asked for only once the votes are good. */
  headers(): UnknownHeaders;
  readonly byteLength: number;
}

const WHAT = 'finality proof';

/** Headers that one call walks back; the next call continues from there. */
const MAX_STEPS = 2_000;
/** Ancestors with remembered hashes, so that a long way back is walked once. */
const MAX_ANCESTORS = 100_000;

/**
 * Follows the finalized chain from a checkpoint by GRANDPA justifications alone. Each step is verified by the authority
 * set in office, and a set takes office only by the header of the last block of the set before it, so the endpoints can
 * withhold blocks but not invent them.
 *
 * It never goes back. A call that fails keeps what was proven before it failed, and nothing else. Several calls, for
 * different endpoints, may be under way at once.
 */
export class FinalityTracker {
  #state: State;
  readonly #limits: TrackerLimits;
  /** Parent hashes that proven headers name, by block number; no walk goes the same way twice. */
  readonly #ancestors = new Memo<BlockHash>(MAX_ANCESTORS);

  /**
   * @throws RangeError on a checkpoint hash of another length than 32 or a set id that is no u64. EvidenceError
   *   CHAIN_PROOF_INVALID on authorities that are none.
   */
  constructor(checkpoint: Checkpoint, limits: TrackerLimits = defaultTrackerLimits) {
    const { authorities, authoritySetId, blockHash, blockNumber } = checkpoint;
    const weighted = authorities.map((publicKey) => ({ publicKey, weight: 1n }));
    this.#state = {
      block: { number: blockNumber, hash: BlockHash.of(blockHash) },
      newest: undefined,
      authorities: new AuthoritySet(BigInt(authoritySetId), weighted),
    };
    this.#limits = limits;
  }

  /** The newest block that was proven; `undefined` while there is only the checkpoint. */
  get newest(): ProvenBlock | undefined {
    return this.#state.newest;
  }

  /** Id of the authority set that finalizes the next block. */
  get authoritySetId(): bigint {
    return this.#state.authorities.id;
  }

  /**
   * Proves finality as far as the endpoint can show it, at best up to the block that the endpoint calls finalized.
   * Nodes keep one justification a set and one of the newest block, so the result may be above or below that block, and
   * after many handovers another call may be needed: progress shows in the number.
   * @returns the newest proven block, by whichever call.
   * @throws EvidenceError CHAIN_PROOF_INVALID, CHAIN_FINALITY_UNPROVEN, or CHAIN_AUTHORITIES_UNKNOWN when the set
   *   changed with a delay or by force; what the source throws.
   */
  async advance(source: FinalitySource, target: BlockTarget): Promise<ProvenBlock> {
    const start = this.#state;
    if (start.newest === undefined && target.number <= start.block.number) {
      await this.#proveCheckpoint(source, start.block);
    }
    if (target.number > this.#state.block.number) await this.#catchUp(source, target, start.block.number);
    return this.#newestAgainst(target);
  }

  /**
   * Takes a bare justification, as `grandpa_subscribeJustifications` delivers them. One that is not newer than what is
   * known changes nothing and is not verified.
   * @returns the newest proven block, `undefined` while there is none.
   * @throws as {@link advance}; a justification of a set that was not reached yet is CHAIN_FINALITY_UNPROVEN.
   */
  async acceptJustification(bytes: Uint8Array, source: FinalitySource): Promise<ProvenBlock | undefined> {
    const justification = decodeJustification(bytes);
    if (justification.targetNumber > this.#state.block.number) {
      const header = await fetchHeader(source, justification.targetHash);
      this.#accept({
        justification,
        headers: () => ({ before: [], last: header }),
        byteLength: bytes.length,
      });
    }
    return this.newest;
  }

  /**
   * A block before the newest proven one, proven by the parent hashes of the headers in between.
   * @throws ProblemError CHAIN_UNAVAILABLE when nothing is proven yet, when the block is newer than what is proven, and
   *   when the way is too long for one call: the next one goes on. EvidenceError CHAIN_PROOF_INVALID; what the source
   *   throws.
   */
  async ancestor(source: FinalitySource, number: number): Promise<ProvenBlock> {
    const { newest } = this;
    if (newest === undefined || number > newest.number)
      throw new ProblemError('CHAIN_UNAVAILABLE', `block ${number} is not proven yet`);
    if (number === newest.number) return newest;
    let header = await this.#nearestAbove(source, number, newest);
    for (let step = 0; header.number > number; step++) {
      if (step === MAX_STEPS)
        throw new ProblemError('CHAIN_UNAVAILABLE', `the way back to block ${number} is long; it goes on`);
      header = await this.#parentOf(source, header);
    }
    return provenBlock(header);
  }

  /** The nearest remembered block that is not before a number. */
  async #nearestAbove(source: FinalitySource, number: number, newest: ProvenBlock): Promise<Header> {
    for (let above = number; above < newest.number; above++) {
      const known = this.#ancestors.find(`${above}`);
      if (known !== undefined) return fetchHeader(source, known);
    }
    return newest.header;
  }

  async #parentOf(source: FinalitySource, { parentHash, number }: Header): Promise<Header> {
    const parent = await fetchHeader(source, BlockHash.of(parentHash));
    if (parent.number !== number - 1)
      throw invalidProof('header', 'number', `${number - 1}, before its child`, `${parent.number}`);
    this.#ancestors.set(`${parent.number}`, parent.hash);
    return parent;
  }

  /** The checkpoint's own header makes it a block that can be read; it needs no signatures. */
  async #proveCheckpoint(source: FinalitySource, { hash, number }: BlockTarget): Promise<void> {
    const header = await fetchHeader(source, BlockHash.of(hash));
    if (header.number !== number) {
      throw invalidProof('checkpoint', 'blockNumber', `${header.number}, by its header`, String(number));
    }
    // Another call may have proven more in the meantime.
    if (this.#state.newest === undefined) this.#state = { ...this.#state, newest: provenBlock(header) };
  }

  async #catchUp(source: FinalitySource, target: BlockTarget, floor: number): Promise<void> {
    // Usually only the proof of the target is needed, and it is short: its headers begin at the target.
    const goal = await gather(source, target.number);
    let spent = goal.byteLength;
    if (goal.justification.targetNumber < floor) throw replayed(goal.justification.targetNumber, floor);
    for (let handovers = 0; handovers <= this.#limits.maxHandovers; handovers += 1) {
      const refusal = this.#refusalOf(goal);
      if (refusal === undefined) return;
      if (handovers === this.#limits.maxHandovers || spent > this.#limits.maxProofBytes) return;
      spent += await this.#handOver(source, refusal);
    }
  }

  /** Tries evidence that may be of a later set: if the present one does not bear it out, says why. */
  #refusalOf(evidence: Evidence): EvidenceError | undefined {
    try {
      this.#accept(evidence);
      return undefined;
    } catch (error) {
      if (error instanceof EvidenceError && error.code === 'CHAIN_FINALITY_UNPROVEN') return error;
      throw error;
    }
  }

  /**
   * Proves the last block of the set in office, and with it the next set.
   * @returns the bytes that it took.
   */
  async #handOver(source: FinalitySource, refusal: EvidenceError): Promise<number> {
    const before = this.#state;
    const step = await gather(source, before.block.number + 1);
    this.#accept(step);
    // No progress of any call: the endpoint proves what was known. No new set: so the set was the right one to ask.
    if (this.#state === before) throw replayed(step.justification.targetNumber, before.block.number);
    if (this.#state.authorities.id === before.authorities.id) throw refusal;
    return step.byteLength;
  }

  /** Verifies evidence against the state of this moment and makes it the new state; older evidence is left alone. */
  #accept(evidence: Evidence): void {
    const { justification } = evidence;
    const { authorities, block, newest: known } = this.#state;
    const { targetHash, targetNumber } = justification;
    if (targetNumber === block.number && !equalBytes(targetHash, block.hash)) {
      throw contradicted(block, targetHash);
    }
    if (targetNumber < block.number || (targetNumber === block.number && known !== undefined)) return;
    // The checkpoint's own header counts by its hash.
    if (targetNumber > block.number) verifyJustification(justification, authorities);
    const { before, last: header } = evidence.headers();
    if (header.number !== targetNumber) {
      throw invalidProof(WHAT, 'number of the header', String(targetNumber), String(header.number));
    }
    if (targetNumber === block.number) {
      this.#state = { ...this.#state, newest: provenBlock(header) };
      return;
    }
    // Only now are the headers known to be the chain's own, and what they announce worth a word.
    for (const earlier of before.filter(({ number }) => number > block.number)) {
      const change = authorityChange(earlier);
      if (change === undefined) continue;
      refuseUnlessImmediate(change, earlier);
      const observed = `a handover at block ${earlier.number} already`;
      throw invalidProof(WHAT, `block ${header.number}`, 'of one authority set', observed);
    }
    const change = authorityChange(header);
    if (change !== undefined) refuseUnlessImmediate(change, header);
    const next = change === undefined ? authorities : successor(authorities, change);
    const newest = provenBlock(header);
    this.#state = { block: newest, newest, authorities: next };
  }

  #newestAgainst(target: BlockTarget): ProvenBlock {
    const { block, newest } = this.#state;
    if (newest === undefined) {
      throw unproven(
        'no block from the checkpoint on is proven',
        `block ${block.number} or newer`,
        `block ${target.number}`,
      );
    }
    if (newest.number === target.number && !equalBytes(newest.hash, target.hash)) {
      throw contradicted(newest, target.hash);
    }
    return newest;
  }
}

/** For headers that the caller has verified. */
const provenBlock = (verified: Header): ProvenBlock => new ProvenBlock(constructorKey, verified);

const successor = (authorities: AuthoritySet, { nextAuthorities }: AuthorityChange): AuthoritySet =>
  new AuthoritySet(authorities.id + 1n, nextAuthorities);

const contradicted = ({ hash, number }: BlockTarget, observed: Uint8Array): EvidenceError =>
  unproven(`another block ${number} is proven final`, toPrefixedHex(hash), toPrefixedHex(observed));

const replayed = (number: number, known: number): EvidenceError =>
  unproven(
    `the endpoint proves block ${number} only`,
    `a block after ${known}, which was proven before`,
    `block ${number}`,
  );

/** Follows only changes that take effect at the block which announces them, as all of Substrate's pallets make them. */
function refuseUnlessImmediate({ delay, kind }: AuthorityChange, { number }: Header): void {
  if (kind === 'scheduled' && delay === 0) return;
  const observed = kind === 'forced' ? 'a forced change' : `a change delayed by ${delay} blocks`;
  throw new EvidenceError(
    'CHAIN_AUTHORITIES_UNKNOWN',
    `block ${number} announces ${observed} of the authorities, which is not followed`,
    {
      expected: 'a change without delay',
      observed,
      hint: 'Configure a checkpoint after the change; the trust hash changes with it.',
    },
  );
}

async function gather(source: FinalitySource, number: number): Promise<Evidence> {
  const bytes = await source.proveFinality(number);
  if (bytes === undefined) {
    throw unproven('the endpoint has no proof of finality', `a proof for block ${number}`, 'none');
  }
  const { justification, hasHeaders, unknownHeaders } = decodeFinalityProof(bytes);
  if (hasHeaders) return { justification, headers: unknownHeaders, byteLength: bytes.length };
  const last = await fetchHeader(source, justification.targetHash);
  return { justification, headers: () => ({ before: [], last }), byteLength: bytes.length };
}

async function fetchHeader(source: FinalitySource, hash: BlockHash): Promise<Header> {
  const header = headerFromJson(await source.header(hash));
  if (!equalBytes(header.hash, hash)) {
    throw invalidProof('header', 'hash', toPrefixedHex(hash), toPrefixedHex(header.hash));
  }
  return header;
}
