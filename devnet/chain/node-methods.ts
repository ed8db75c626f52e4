import { toPrefixedHex, tryFromHex } from '../../src/bytes/hex.ts';
import { blake2b256 } from '../../src/crypto/blake2.ts';
import type { Block } from './block.ts';
import type { Ledger } from './ledger.ts';
import { invalidParams, type RpcMethods, textParam, textsParam, unknownBlock } from './rpc.ts';
import { runtimeMetadata, runtimeVersion } from './runtime-versions.ts';

const MAX_PAGE = 1000;

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
        : (ledger.block(String(hash).toLowerCase())?.header ?? null),
    chain_getBlock: ([hash]) => ({
      block: { header: blockAt(ledger, hash).header, extrinsics: [] },
      justifications: null,
    }),
  };
}

function keysPaged(block: Block, prefix: string, count: number, startKey: string | undefined): string[] {
  return [...block.state.keys()]
    .filter((key) => key.startsWith(prefix) && (startKey === undefined || key > startKey))
    .sort()
    .slice(0, count);
}

function stateMethods(ledger: Ledger): RpcMethods {
  const value = (params: readonly unknown[]): string | null =>
    blockAt(ledger, params[1]).state.get(textParam(params, 0, 'key').toLowerCase()) ?? null;
  return {
    state_getRuntimeVersion: ([hash]) => runtimeVersion(blockAt(ledger, hash).content.specVersion),
    state_getMetadata: ([hash]) => runtimeMetadata(blockAt(ledger, hash).content.shape).legacy,
    state_call: ([method, data, hash]) => {
      const metadata = runtimeMetadata(blockAt(ledger, hash).content.shape);
      if (method === 'Metadata_metadata_versions') return metadata.versions;
      if (method === 'Metadata_metadata_at_version') {
        return metadata.atVersion(tryFromHex(String(data))?.[0] ?? 0);
      }
      throw invalidParams(`the development chain has no runtime API ${String(method)}`);
    },
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

/** Methods that answer once: system_*, chain_* and state_*. Proofs and finality justifications are not there yet. */
export function nodeMethods(ledger: Ledger, chainName: string): RpcMethods {
  return { ...systemMethods(chainName), ...chainMethods(ledger), ...stateMethods(ledger) };
}
