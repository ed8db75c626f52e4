import { calculate_state_root, decode_proof } from '@acala-network/chopsticks-executor';
import { afterEach, describe, expect, it } from 'vitest';
import { commonKeys } from '../../devnet/chain/block-state.ts';
import {
  type DevelopmentChain,
  type DevelopmentChainOptions,
  startDevelopmentChain,
} from '../../devnet/chain/development-chain.ts';
import type { Lie } from '../../devnet/chain/lies/lies.ts';
import type { JsonRpcSocket } from '../../src/chain/json-rpc-socket.ts';
import { connectChain } from '../../src/chain/polkadot-chain-view.ts';
import { mapKey, storageItems } from '../../src/chain/storage-keys.ts';
import { quickOptions, register, serverRecord } from '../support/chain-fixtures.ts';
import { apiOf, hexBytes, plainSocket } from '../support/development-api.ts';
import { TrieReader } from '../support/trie-reader.ts';

const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function chainWith(servers: number, options: DevelopmentChainOptions = {}): Promise<DevelopmentChain> {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1, ...options });
  open.push(() => chain.close());
  for (let n = 1; n <= servers; n += 1) register(chain, n);
  chain.newBlocks(3);
  return chain;
}

async function socketTo(url: string): Promise<JsonRpcSocket> {
  const socket = await plainSocket(url);
  open.push(() => socket.close('test is over'));
  return socket;
}

interface ReadProof {
  readonly at: string;
  readonly proof: string[];
}

const { prefix } = storageItems.thresholdServers;

async function stateOf(socket: JsonRpcSocket, at: string): Promise<Map<string, string>> {
  const keys = (await socket.request('state_getKeys', ['0x', at])) as string[];
  const [set] = (await socket.request('state_queryStorageAt', [keys, at])) as {
    changes: [string, string][];
  }[];
  return new Map(set?.changes);
}

const rootOf = async (socket: JsonRpcSocket, at: string): Promise<string> =>
  ((await socket.request('chain_getHeader', [at])) as { stateRoot: string }).stateRoot;

describe.each([0, 1] as const)('in state version %i', (stateVersion) => {
  it('the state root of every block equals the root that smoldot computes from the whole state', async () => {
    let now = 0;
    const chain = await chainWith(3, { stateVersion, now: () => ++now });
    const socket = await socketTo(chain.url);
    chain.setActive(serverRecord(1).stash, false);
    chain.newBlocks(1);
    chain.upgradeRuntime('reordered');
    chain.newBlocks(1);
    chain.removeServer(serverRecord(2).stash);
    chain.setStorage([
      ['0xab', '0x'],
      [storageItems.signers.prefix, null],
    ]);
    chain.rotateAuthorities();
    chain.newBlocks(2);
    const roots = new Set<string>();
    for (let number = 0; number <= chain.best().number; number += 1) {
      const at = String(await socket.request('chain_getBlockHash', [number]));
      const root = await rootOf(socket, at);
      expect(root).toBe(await calculate_state_root([...(await stateOf(socket, at))], stateVersion));
      roots.add(root);
    }
    expect(roots.size).toBe(chain.best().number + 1);
    expect(await socket.request('state_getRuntimeVersion', [])).toMatchObject({ stateVersion });
  });

  it('a read proof belongs to the requested block and proves the prefix and all keys, without extra nodes', async () => {
    const chain = await chainWith(15, { stateVersion });
    const socket = await socketTo(chain.url);
    const at = chain.finalized().hash;
    register(chain, 16);
    chain.newBlocks(1);
    const keys = (await socket.request('state_getKeysPaged', [prefix, 100, null, at])) as string[];
    expect(keys).toHaveLength(15);
    const absent = mapKey(storageItems.thresholdServers, serverRecord(16).stash);
    const asked = [prefix, ...keys, absent, storageItems.now.prefix];
    const answer = (await socket.request('state_getReadProof', [asked, at])) as ReadProof;
    expect(answer.at).toBe(at);
    const state = await stateOf(socket, at);
    const reader = new TrieReader(await rootOf(socket, at), answer.proof.map(hexBytes));
    expect(reader.read(prefix)).toEqual({ kind: 'absent' });
    expect(reader.read(absent)).toEqual({ kind: 'absent' });
    for (const key of [...keys, storageItems.now.prefix])
      expect(reader.read(key)).toEqual({ kind: 'value', hex: state.get(key) });
    expect(answer.proof).toEqual([...reader.used].sort().map((node) => `0x${node}`));
    const decoded: [string, string][] = await decode_proof(await rootOf(socket, at), answer.proof);
    expect(new Map(decoded).get(keys[0] ?? '')).toBe(state.get(keys[0] ?? ''));
    // Without a block it is of the best one, which has one server more.
    const best = (await socket.request('state_getReadProof', [[absent]])) as ReadProof;
    expect(best.at).toBe(chain.best().hash);
    const bestReader = new TrieReader(await rootOf(socket, best.at), best.proof.map(hexBytes));
    expect(bestReader.read(absent).kind).toBe('value');
  });
});

describe('storage items of every Substrate chain', () => {
  it('@polkadot/api reads them by the metadata', async () => {
    const chain = await chainWith(1);
    chain.rotateAuthorities({ count: 2 });
    chain.newBlocks(2);
    const api = await apiOf(chain);
    open.push(() => api.disconnect());
    const { system, grandpa } = api.query;
    expect(system?.['lastRuntimeUpgrade']?.key()).toBe(commonKeys.lastRuntimeUpgrade);
    expect(grandpa?.['currentSetId']?.key()).toBe(commonKeys.currentSetId);
    expect(grandpa?.['authorities']?.key()).toBe(commonKeys.authorities);
    expect((await system?.['lastRuntimeUpgrade']?.())?.toJSON()).toEqual({
      specVersion: 500,
      specName: 'node',
    });
    expect((await grandpa?.['currentSetId']?.())?.toString()).toBe('1');
    const members = (await grandpa?.['authorities']?.())?.toJSON();
    expect(members).toEqual(expect.arrayContaining(chain.checkpoint().authorities.map((id) => [id, 1])));
  });

  it('an upgrade changes the code in its own block, and the recorded version in the next block', async () => {
    const chain = await chainWith(0);
    const socket = await socketTo(chain.url);
    chain.upgradeRuntime('reordered', 501);
    const seen: unknown[] = [];
    for (let block = 0; block < 3; block += 1) {
      const at = chain.best().hash;
      const code = await socket.request('state_getStorageHash', [commonKeys.code, at]);
      const noted = await socket.request('state_getStorage', [commonKeys.lastRuntimeUpgrade, at]);
      const version = (await socket.request('state_getRuntimeVersion', [at])) as { specVersion: number };
      seen.push([code, noted, version.specVersion]);
      chain.newBlocks(1);
    }
    const [before, at, after] = seen as [string, string, number][];
    // Compact 500 and 501 in two bytes, then the name.
    expect([before?.[1], at?.[1], after?.[1]]).toEqual([
      '0xd107106e6f6465',
      '0xd107106e6f6465',
      '0xd507106e6f6465',
    ]);
    expect([before?.[2], at?.[2], after?.[2]]).toEqual([500, 501, 501]);
    expect(at?.[0]).not.toBe(before?.[0]);
    expect(after?.[0]).toBe(at?.[0]);
  });

  it('headers are kept longer than the state of their blocks', async () => {
    const chain = await chainWith(0);
    const socket = await socketTo(chain.url);
    chain.newBlocks(600);
    const at = await socket.request('chain_getBlockHash', [1]);
    expect(await socket.request('chain_getHeader', [at])).toMatchObject({ number: '0x1' });
    await expect(socket.request('state_getReadProof', [[prefix], at])).rejects.toThrow('UnknownBlock');
    expect(await socket.request('grandpa_proveFinality', [1])).not.toBeNull();
  });

  it.each([[['prefix']], [['0xabc']], ['0xab']])('a proof request with %j is refused', async (keys) => {
    const chain = await chainWith(0);
    const socket = await socketTo(chain.url);
    await expect(socket.request('state_getReadProof', [keys])).rejects.toThrow('Invalid params');
    await expect(socket.request('dev_setStorage', [[['no hex', '0x00']]])).rejects.toThrow('hex');
    await expect(socket.request('dev_setStorage', [[['0x00', '0x0']]])).rejects.toThrow('hex');
  });
});

describe('lies about the state', () => {
  async function told(lie: Lie): Promise<{ honest: JsonRpcSocket; lying: JsonRpcSocket; at: string }> {
    const chain = await chainWith(6);
    const [honest, lying] = [await socketTo(chain.url), await socketTo(chain.lyingUrl(lie))];
    return { honest, lying, at: chain.finalized().hash };
  }

  const proofs = async (lie: Lie, times: number): Promise<{ honest: ReadProof; lies: ReadProof[] }> => {
    const { honest, lying, at } = await told(lie);
    const keys = (await honest.request('state_getKeys', [prefix, at])) as string[];
    const params = [[prefix, ...keys], at];
    const lies: ReadProof[] = [];
    for (let turn = 0; turn < times; turn += 1)
      lies.push((await lying.request('state_getReadProof', params)) as ReadProof);
    return { honest: (await honest.request('state_getReadProof', params)) as ReadProof, lies };
  };

  it('a proof lacks one node, another one each time', async () => {
    const { honest, lies } = await proofs('drop-proof-node', 30);
    const dropped = lies.map(({ proof }) => {
      expect(proof).toHaveLength(honest.proof.length - 1);
      return honest.proof.find((node) => !proof.includes(node));
    });
    expect(new Set(dropped).size).toBe(Math.min(30, honest.proof.length));
  });

  it('a proof has one changed byte, at another place each time', async () => {
    const { honest, lies } = await proofs('flip-proof-byte', 10);
    for (const { proof } of lies) {
      expect(proof).toHaveLength(honest.proof.length);
      expect(proof.filter((node) => !honest.proof.includes(node))).toHaveLength(1);
    }
    expect(new Set(lies.map(({ proof }) => proof.join())).size).toBe(10);
  });

  it('a proof is empty, or holds extra nodes', async () => {
    expect((await proofs('empty-proof', 1)).lies[0]?.proof).toEqual([]);
    const { honest, lies } = await proofs('surplus-proof-nodes', 1);
    expect(lies[0]?.proof).toHaveLength(honest.proof.length + 2);
    expect(lies[0]?.proof).toEqual(expect.arrayContaining([...honest.proof]));
  });

  it('a proof is larger than the limit of a client', async () => {
    const { lying } = await told('huge-proof');
    await expect(lying.request('state_getReadProof', [[prefix]])).rejects.toMatchObject({
      code: 'CHAIN_UNAVAILABLE',
    });
  });

  it('lists lack one key, or all keys', async () => {
    for (const [lie, count] of [
      ['hide-key', 5],
      ['hide-all-keys', 0],
    ] as const) {
      const { honest, lying, at } = await told(lie);
      const params = [prefix, 100, null, at];
      expect(await honest.request('state_getKeysPaged', params)).toHaveLength(6);
      expect(await lying.request('state_getKeysPaged', params)).toHaveLength(count);
    }
  });

  it('forged headers no longer match their block hash', async () => {
    const { honest, lying, at } = await told('forge-header');
    const [genuine, forged] = await Promise.all(
      [honest, lying].map((socket) => socket.request('chain_getHeader', [at])),
    );
    expect(forged).toEqual({
      ...(genuine as object),
      stateRoot: expect.not.stringMatching(await rootOf(honest, at)),
    });
    expect(await lying.request('chain_getBlock', [at])).toMatchObject({ block: { header: forged } });
    expect(await lying.request('chain_getHeader', [`0x${'00'.repeat(32)}`])).toBeNull();
  });

  it('a client that connects by the URL of the lie sees one server less', async () => {
    const chain = await chainWith(3);
    const views = [chain.url, chain.lyingUrl('hide-key')].map((url) => connectChain(quickOptions(url)));
    for (const view of views) open.push(async () => (await view)[Symbol.asyncDispose]());
    const [genuine, less] = await Promise.all(views.map(async (view) => (await view).snapshot()));
    expect([genuine?.servers.length, less?.servers.length]).toEqual([3, 2]);
  });
});
