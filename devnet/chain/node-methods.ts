import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import type { Block } from './block.ts';
import { encodeAuthorities } from './grandpa/authorities.ts';
import { keptJustifications } from './grandpa-methods.ts';
import type { Ledger } from './ledger.ts';
import { invalidParams, type RpcMethods, textParam, textsParam, unknownBlock } from './rpc.ts';
import { runtimeMetadata, runtimeVersion } from './runtime-versions.ts';
import { u64 } from './scale.ts';

const MAX_PAGE = 1000;

/** The answer of state_getReadProof. */
export interface ReadProof {
  /** Block hash. */
  readonly at: string;
  /** Trie nodes and values, `0x` hex. */
  readonly proof: readonly string[];
}

function blockAt(ledger: Ledger, hash: unknown): Block {
  if (hash === undefined || hash === null) return ledger.best;
  const block = typeof hash === 'string' ? ledger.block(hash.toLowerCase()) : undefined;
  if (block === undefined) throw unknownBlock(`Header was not found in the database: ${String(hash)}`);
  return block;
}

function systemMethods(chainName: string): RpcMethods {
  return {
    system_chain: () => chainName,
    system_name: () => 'latchkey-development-chain',
    system_version: () => '1.0.0',
    system_chainType: () => 'Development',
    system_health: () => ({ peers: 0, isSyncing: false, shouldHavePeers: false }),
    system_properties: () => ({ ss58Format: 42, tokenDecimals: 10, tokenSymbol: 'DEV' }),
    system_localPeerId: () => '12D3KooWDevelopmentChain',
  };
}

function chainMethods(ledger: Ledger): RpcMethods {
  const hashOf = (number: unknown): string | null => {
    const value = typeof number === 'string' ? Number(number) : number;
    if (typeof value !== 'number' || !Number.isInteger(value)) throw invalidParams('block number');
    return ledger.hashOf(value) ?? null;
  };
  return {
    chain_getBlockHash: ([number]) => {
      if (number === undefined || number === null) return ledger.best.hash;
      return Array.isArray(number) ? number.map(hashOf) : hashOf(number);
    },
    chain_getFinalizedHead: () => ledger.finalized.hash,
    // A block that the node does not have is null here, and an error in state methods, as in Substrate.
    chain_getHeader: ([hash]) =>
      hash === undefined || hash === null
        ? ledger.best.header
        : (ledger.header(String(hash).toLowerCase()) ?? null),
    chain_getBlock: ([asked], client) => {
      const hash = typeof asked === 'string' ? asked.toLowerCase() : ledger.best.hash;
      const header = ledger.header(hash);
      if (header === undefined) throw unknownBlock(`Header was not found in the database: ${hash}`);
      const number = Number(header.number);
      // A sibling that was abandoned has the number of a final block, and not its justification.
      const justifications =
        ledger.hashOf(number) === hash ? keptJustifications(ledger, number, client) : null;
      return { block: { header, extrinsics: [] }, justifications };
    },
  };
}

function keysPaged(block: Block, prefix: string, count: number, startKey: string | undefined): string[] {
  return [...block.state.keys()]
    .filter((key) => key.startsWith(prefix) && (startKey === undefined || key > startKey))
    .sort()
    .slice(0, count);
}

/** Answers of the runtime APIs that there are. */
function runtimeCall({ content, grandpa }: Block, method: string, data: string): string {
  const metadata = runtimeMetadata(content.shape);
  switch (method) {
    case 'Metadata_metadata_versions':
      return metadata.versions;
    case 'Metadata_metadata_at_version':
      return metadata.atVersion(tryFromHex(data)?.[0] ?? 0);
    case 'GrandpaApi_grandpa_authorities':
      return toPrefixedHex(encodeAuthorities(grandpa.set));
    case 'GrandpaApi_current_set_id':
      return toPrefixedHex(u64((grandpa.scheduled?.next ?? grandpa.set).id));
    default:
      throw invalidParams(`the development chain has no runtime API ${method}`);
  }
}

function readProof(block: Block, keys: readonly string[]): ReadProof {
  if (keys.some((key) => !key.startsWith('0x') || tryFromHex(key) === undefined))
    throw invalidParams('keys must be 0x hex');
  return {
    at: block.hash,
    proof: block.trie.readProof(keys.map((key) => key.toLowerCase())).map(toPrefixedHex),
  };
}

function stateMethods(ledger: Ledger): RpcMethods {
  const value = (params: readonly unknown[]): string | null =>
    blockAt(ledger, params[1]).state.get(textParam(params, 0, 'key').toLowerCase()) ?? null;
  return {
    state_getRuntimeVersion: ([hash]) => runtimeVersion(blockAt(ledger, hash)),
    state_getReadProof: (params) => readProof(blockAt(ledger, params[1]), textsParam(params, 0, 'keys')),
    state_getMetadata: ([hash]) => runtimeMetadata(blockAt(ledger, hash).content.shape).legacy,
    state_call: ([method, data, hash]) => runtimeCall(blockAt(ledger, hash), String(method), String(data)),
    state_getStorage: value,
    state_getStorageHash: (params) => {
      const found = value(params);
      return found === null ? null : toPrefixedHex(blake2b256(tryFromHex(found) ?? new Uint8Array(0)));
    },
    state_getStorageSize: (params) => {
      const found = value(params);
      return found === null ? null : (found.length - 2) / 2;
    },
    state_queryStorageAt: (params) => {
      const block = blockAt(ledger, params[1]);
      const keys = textsParam(params, 0, 'keys');
      return [
        { block: block.hash, changes: keys.map((key) => [key, block.state.get(key.toLowerCase()) ?? null]) },
      ];
    },
    state_getKeysPaged: (params) => {
      const count = params[1];
      if (typeof count !== 'number' || count < 1 || count > MAX_PAGE)
        throw invalidParams(`count 1 to ${MAX_PAGE}`);
      const startKey =
        params[2] === undefined || params[2] === null ? undefined : textParam(params, 2, 'startKey');
      return keysPaged(blockAt(ledger, params[3]), textParam(params, 0, 'prefix'), count, startKey);
    },
    state_getKeys: (params) =>
      keysPaged(
        blockAt(ledger, params[1]),
        textParam(params, 0, 'prefix'),
        Number.MAX_SAFE_INTEGER,
        undefined,
      ),
  };
}

/** Methods that answer once: system_*, chain_* and state_*. */
export function nodeMethods(ledger: Ledger, chainName: string): RpcMethods {
  return { ...systemMethods(chainName), ...chainMethods(ledger), ...stateMethods(ledger) };
}
