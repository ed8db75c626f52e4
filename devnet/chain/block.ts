import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { blockState } from './block-state.ts';
import type { ChainContent, RawState } from './content.ts';
import {
  type AuthorityChange,
  type AuthorityState,
  authorityStateAfter,
  changeDigest,
} from './grandpa/authorities.ts';
import { type HeaderJson, headerHash, otherDigest } from './header.ts';
import { StateTrie } from './trie/state-trie.ts';
import type { StateVersion } from './trie/trie-node.ts';

/** Root of the empty trie, which a block without extrinsics has. */
const EMPTY_TRIE_ROOT = StateTrie.empty(1).root;

/** One block with the whole state after it. */
export interface Block {
  readonly number: number;
  readonly hash: string;
  readonly header: HeaderJson;
  readonly content: ChainContent;
  readonly state: RawState;
  readonly trie: StateTrie;
  readonly grandpa: AuthorityState;
  /** The change of the authority set that this block announces. */
  readonly change: AuthorityChange | undefined;
}

/** What every new block is made from. */
interface BlockSeed {
  readonly content: ChainContent;
  readonly timestampMs: number;
  /** Bytes in the digest; siblings with the same content differ by them. */
  readonly salt: Uint8Array;
}

/** What the genesis block is made from. */
export interface GenesisSeed extends BlockSeed {
  readonly grandpa: AuthorityState;
  readonly stateVersion: StateVersion;
}

/** What distinguishes a new block from its parent. */
export interface ChildSeed extends BlockSeed {
  readonly parent: Block;
  readonly change: AuthorityChange | undefined;
}

/** Builds the first block. */
export function buildGenesis({ content, timestampMs, salt, grandpa, stateVersion }: GenesisSeed): Block {
  const state = blockState({ content, running: content, grandpa, timestampMs });
  const trie = StateTrie.of(stateVersion, state);
  const header: HeaderJson = {
    parentHash: toPrefixedHex(new Uint8Array(32)),
    number: '0x0',
    stateRoot: trie.root,
    extrinsicsRoot: EMPTY_TRIE_ROOT,
    digest: { logs: [otherDigest(salt)] },
  };
  return { number: 0, hash: headerHash(header), header, content, state, trie, grandpa, change: undefined };
}

/** Builds a block on its parent. */
export function buildBlock({ parent, content, timestampMs, salt, change }: ChildSeed): Block {
  const number = parent.number + 1;
  const grandpa = authorityStateAfter(parent.grandpa, number, change);
  const state = blockState({ content, running: parent.content, grandpa, timestampMs });
  const trie = parent.trie.advanced(parent.state, state);
  const header: HeaderJson = {
    parentHash: parent.hash,
    number: `0x${number.toString(16)}`,
    stateRoot: trie.root,
    extrinsicsRoot: EMPTY_TRIE_ROOT,
    digest: { logs: [...(change === undefined ? [] : [changeDigest(change)]), otherDigest(salt)] },
  };
  return { number, hash: headerHash(header), header, content, state, trie, grandpa, change };
}
