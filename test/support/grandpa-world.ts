import { ed25519 } from '@noble/curves/ed25519.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { byteVec, compact, u32, u64, vec } from '../../devnet/chain/scale.ts';
import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import type { Checkpoint, FinalitySource } from '../../src/chain/proof/finality-tracker.ts';
import { Ed25519Signer } from '../../src/crypto/ed25519.ts';

/** A block of a made-up chain. */
export interface MadeBlock {
  readonly number: number;
  readonly hash: BlockHash;
  readonly parentHash: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly logs: readonly Uint8Array[];
  readonly encoded: Uint8Array;
}

/** What a block may differ in. */
export interface BlockParts {
  readonly logs?: readonly Uint8Array[];
  readonly stateRoot?: Uint8Array;
  readonly extrinsicsRoot?: Uint8Array;
  readonly number?: number;
}

const GENESIS_PARENT = new Uint8Array(32);

/** Makes the child of a block, or a genesis block. */
export function makeBlock(parent: MadeBlock | undefined, parts: BlockParts = {}): MadeBlock {
  const number = parts.number ?? (parent === undefined ? 0 : parent.number + 1);
  const parentHash = parent?.hash ?? GENESIS_PARENT;
  const stateRoot = parts.stateRoot ?? new Uint8Array(32).fill(number);
  const logs = parts.logs ?? [];
  const encoded = concatBytes(
    parentHash,
    compact(number),
    stateRoot,
    parts.extrinsicsRoot ?? new Uint8Array(32).fill(7),
    vec(logs),
  );
  const hash = BlockHash.of(blake2b(encoded, { dkLen: 32 }));
  return { number, hash, parentHash, stateRoot, logs, encoded };
}

/** The RPC's JSON form of a block's header. */
export const headerJson = (block: MadeBlock): unknown => ({
  parentHash: toPrefixedHex(block.parentHash),
  number: `0x${block.number.toString(16)}`,
  stateRoot: toPrefixedHex(block.stateRoot),
  extrinsicsRoot: toPrefixedHex(block.encoded.subarray(64 + compact(block.number).length).subarray(0, 32)),
  digest: { logs: block.logs.map(toPrefixedHex) },
});

/** An authority that can sign. */
export interface Voter {
  readonly seed: Uint8Array;
  readonly signer: Ed25519Signer;
  readonly weight: bigint;
}

/** The given number of voters of weight 1; another `family` gives other voters. */
export const makeVoters = (count: number, family = 1): readonly Voter[] =>
  Array.from({ length: count }, (_, index) => {
    const seed = new Uint8Array(32).fill(family);
    new DataView(seed.buffer).setUint32(0, index);
    return { seed, signer: new Ed25519Signer(seed), weight: 1n };
  });

const changeBody = (voters: readonly Voter[], delay: number): Uint8Array =>
  concatBytes(
    vec(voters.map(({ signer, weight }) => concatBytes(signer.publicKey, u64(weight)))),
    u32(delay),
  );

/** Digest item Consensus (variant 4) of engine FRNK. */
export const grandpaLog = (body: Uint8Array): Uint8Array =>
  concatBytes(Uint8Array.of(4), utf8('FRNK'), byteVec(body));

export const scheduledChange = (voters: readonly Voter[], delay = 0): Uint8Array =>
  grandpaLog(concatBytes(Uint8Array.of(1), changeBody(voters, delay)));

export const forcedChange = (voters: readonly Voter[], median = 0, delay = 0): Uint8Array =>
  grandpaLog(concatBytes(Uint8Array.of(2), u32(median), changeBody(voters, delay)));

/** One vote of a justification, and how it is to be signed. */
export interface Vote {
  readonly voter: Voter;
  readonly block: { readonly hash: Uint8Array; readonly number: number };
  /** Signs for another set or round, or puts another signature in. */
  readonly setId?: bigint;
  readonly round?: bigint;
  readonly signature?: Uint8Array;
}

/** What a justification is made of. */
export interface JustificationParts {
  readonly target: { readonly hash: Uint8Array; readonly number: number };
  readonly votes: readonly Vote[];
  readonly setId: bigint;
  readonly round?: bigint;
  readonly ancestries?: readonly MadeBlock[];
}

/** Bytes that a precommit signs. */
export const precommitMessage = (
  block: { readonly hash: Uint8Array; readonly number: number },
  round: bigint,
  setId: bigint,
): Uint8Array => concatBytes(Uint8Array.of(1), block.hash, u32(block.number), u64(round), u64(setId));

const { Fn, BASE } = ed25519.Point;

const scalarOf = (...parts: readonly Uint8Array[]): bigint =>
  BigInt(`0x${toHex(sha512(concatBytes(...parts)).reverse())}`) % Fn.ORDER;

/** A second good signature of one message: RFC 8032 with another nonce than the derived one. */
export function secondSignature({ seed, signer }: Voter, message: Uint8Array, nonce = 7n): Uint8Array {
  const { scalar } = ed25519.utils.getExtendedPublicKey(seed);
  const point = BASE.multiply(nonce).toBytes();
  const challenge = scalarOf(point, signer.publicKey, message);
  const response = Fn.create(nonce + challenge * scalar);
  return concatBytes(point, Fn.toBytes(response));
}

/** Encodes a justification and signs each vote for the block, round and set that the vote names. */
export function makeJustification(parts: JustificationParts): Uint8Array {
  const { ancestries = [], round = 3n, setId, target, votes } = parts;
  const signed = votes.map((vote) => {
    const { block, voter } = vote;
    const message = precommitMessage(block, vote.round ?? round, vote.setId ?? setId);
    const signature = vote.signature ?? voter.signer.sign(message);
    return concatBytes(block.hash, u32(block.number), signature, voter.signer.publicKey);
  });
  return concatBytes(
    u64(round),
    target.hash,
    u32(target.number),
    vec(signed),
    vec(ancestries.map(({ encoded }) => encoded)),
  );
}

/** Everybody votes for one block. */
export const unanimous = (block: MadeBlock, voters: readonly Voter[], setId: bigint): Uint8Array =>
  makeJustification({ target: block, setId, votes: voters.map((voter) => ({ voter, block })) });

export const makeFinalityProof = (
  block: MadeBlock,
  justification: Uint8Array,
  unknownHeaders: readonly MadeBlock[],
): Uint8Array =>
  concatBytes(block.hash, byteVec(justification), vec(unknownHeaders.map(({ encoded }) => encoded)));

/** One authority set of a world and how many blocks it finalizes. */
export interface Reign {
  readonly voters: readonly Voter[];
  readonly blocks: number;
}

/**
 * A chain with several authority sets behind a node that answers as Substrate's does: the justification of the last
 * block of the set that a block is in, or that of the newest block in the last set.
 */
export class GrandpaWorld implements FinalitySource {
  readonly blocks: readonly MadeBlock[];
  /** Number of the last block of each set; that of the present one is the newest block. */
  readonly lastBlocks: readonly number[];
  readonly asked: string[] = [];
  readonly #reigns: readonly Reign[];

  /** Blocks from 0 on; block 0 belongs to no set. `announce` makes the log of a handover. */
  constructor(reigns: readonly Reign[], announce = (next: readonly Voter[]) => scheduledChange(next)) {
    this.#reigns = reigns;
    const blocks = [makeBlock(undefined)];
    const lastBlocks: number[] = [];
    for (const [index, { blocks: count }] of reigns.entries()) {
      for (let made = 1; made <= count; made += 1) {
        const next = made === count ? reigns[index + 1] : undefined;
        blocks.push(makeBlock(blocks.at(-1), next === undefined ? {} : { logs: [announce(next.voters)] }));
      }
      lastBlocks.push(blocks.length - 1);
    }
    this.blocks = blocks;
    this.lastBlocks = lastBlocks;
  }

  block(number: number): MadeBlock {
    const block = this.blocks[number];
    if (block === undefined) throw new RangeError(`the world has no block ${number}`);
    return block;
  }

  get newest(): MadeBlock {
    return this.block(this.blocks.length - 1);
  }

  /** A checkpoint at a block, with the set in office after it. */
  checkpoint(number = 0): Checkpoint {
    const setId = this.lastBlocks.findIndex((last) => last > number);
    const voters = this.#reigns[setId]?.voters ?? [];
    return {
      blockNumber: number,
      blockHash: this.block(number).hash,
      authoritySetId: setId,
      authorities: voters.map(({ signer }) => signer.publicKey),
    };
  }

  /** The proof of the last block of one set. */
  justify(number: number): Uint8Array {
    const setId = this.lastBlocks.findIndex((last) => last >= number);
    return unanimous(this.block(number), this.#reigns[setId]?.voters ?? [], BigInt(setId));
  }

  proofOf(number: number): Uint8Array {
    const last = this.lastBlocks.find((block) => block >= number) ?? -1;
    const unknown = this.blocks.slice(number + 1, last + 1);
    return makeFinalityProof(this.block(last), this.justify(last), unknown);
  }

  async proveFinality(number: number): Promise<Uint8Array | undefined> {
    this.asked.push(`prove ${number}`);
    return number > this.newest.number ? undefined : this.proofOf(number);
  }

  async header(hash: BlockHash): Promise<unknown> {
    this.asked.push('header');
    const block = this.blocks.find((made) => toHex(made.hash) === toHex(hash));
    return block === undefined ? null : headerJson(block);
  }
}
