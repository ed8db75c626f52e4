import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { storageItems } from '../../src/chain/storage-keys.ts';
import { type ChainContent, encodeContent, type RawState } from './content.ts';
import { type AuthorityState, encodeAuthorities } from './grandpa/authorities.ts';
import { compact, text, u64 } from './scale.ts';

/** Name of Entropy's runtime, as its version and `System.LastRuntimeUpgrade` say it. */
export const SPEC_NAME = 'node';

/** Keys of what every Substrate chain has. */
export const commonKeys = {
  /** The well-known key `:code`. */
  code: toPrefixedHex(utf8(':code')),
  lastRuntimeUpgrade: storageItems.lastRuntimeUpgrade.prefix,
  /** `Grandpa.CurrentSetId`. */
  currentSetId: '0x5f9cc45b7a00c5899361e1c6099678dc8a2d09463effcc78a22d75b9cb87dffc',
  /** `Grandpa.Authorities`. */
  authorities: '0x5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d',
} as const;

/** What the state of a block follows from. */
interface StateSeed {
  readonly content: ChainContent;
  /** What the code that ran the block knew: the parent's content. */
  readonly running: ChainContent;
  readonly grandpa: AuthorityState;
  readonly timestampMs: number;
}

/** Some bytes instead of a runtime; others for every version, and too many to lie inside a trie node. */
const codeOf = ({ shape, specVersion }: ChainContent): Uint8Array =>
  utf8(`development runtime in place of WebAssembly: ${shape}, version ${specVersion}`);

const encodedAuthorities = new WeakMap<AuthorityState['set'], string>();

function authorities({ set }: AuthorityState): string {
  const value = encodedAuthorities.get(set) ?? toPrefixedHex(encodeAuthorities(set));
  encodedAuthorities.set(set, value);
  return value;
}

/**
 * The whole raw state after a block. As in Substrate, a block that replaces the code was run by the old code: it wrote
 * the old form of everything, and notes the new version only in its child.
 */
export function blockState({ content, running, grandpa, timestampMs }: StateSeed): RawState {
  const state = new Map(encodeContent(content, running.shape));
  const upgrade = concatBytes(compact(running.specVersion), text(SPEC_NAME));
  state.set(commonKeys.code, toPrefixedHex(codeOf(content)));
  state.set(commonKeys.lastRuntimeUpgrade, toPrefixedHex(upgrade));
  // The pallet counts a set when it is announced, and stores its members when they take over.
  state.set(commonKeys.currentSetId, toPrefixedHex(u64((grandpa.scheduled?.next ?? grandpa.set).id)));
  state.set(commonKeys.authorities, authorities(grandpa));
  state.set(storageItems.now.prefix, toPrefixedHex(u64(timestampMs)));
  for (const [key, value] of content.overrides) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
  return state;
}
