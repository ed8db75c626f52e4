import type { ApiPromise } from '@polkadot/api';
import type { Header } from '@polkadot/types/interfaces';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type DevelopmentChain,
  type DevelopmentChainOptions,
  startDevelopmentChain,
} from '../../devnet/chain/development-chain.ts';
import { allLies, type Lie } from '../../devnet/chain/lies/lies.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { JsonRpcSocket } from '../../src/chain/json-rpc-socket.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { register } from '../support/chain-fixtures.ts';
import { apiOf, plainSocket } from '../support/development-api.ts';
import {
  authoritiesOf,
  decodeJustification,
  faultsOf,
  type Justification,
} from '../support/justification-judge.ts';

const open: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface World {
  readonly chain: DevelopmentChain;
  readonly api: ApiPromise;
  readonly socket: JsonRpcSocket;
}

async function socketTo(url: string): Promise<JsonRpcSocket> {
  const socket = await plainSocket(url);
  open.push(() => socket.close('test is over'));
  return socket;
}

async function world(options: DevelopmentChainOptions = {}): Promise<World> {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 2, ...options });
  open.push(() => chain.close());
  const api = await apiOf(chain);
  open.push(() => api.disconnect());
  return { chain, api, socket: await socketTo(chain.url) };
}

interface FinalityProof {
  readonly block: string;
  readonly hex: string;
  readonly justification: Justification;
  /** Headers from behind the asked block: number and hash. */
  readonly headers: readonly { readonly number: number; readonly hash: string; readonly parent: string }[];
}

async function proofOf({ api }: World, socket: JsonRpcSocket, number: number): Promise<FinalityProof | null> {
  const hex = await socket.request('grandpa_proveFinality', [number]);
  if (typeof hex !== 'string') return null;
  const decoded = api.createType('(H256, Bytes, Vec<Header>)', hex);
  expect(decoded.toHex()).toBe(hex);
  const [block, justification, headers] = decoded;
  const bytes = toPrefixedHex(justification.toU8a(true));
  return {
    block: block.toHex(),
    hex: bytes,
    justification: decodeJustification(api, bytes),
    headers: [...(headers as unknown as readonly Header[])].map((header) => ({
      number: header.number.toNumber(),
      hash: header.hash.toHex(),
      parent: header.parentHash.toHex(),
    })),
  };
}

async function soundProof(where: World, number: number): Promise<FinalityProof> {
  const proof = await proofOf(where, where.socket, number);
  if (proof === null) throw new Error(`no proof for block ${number}`);
  return proof;
}

/** Authorities of the state after a block, as the runtime stores them. */
const authoritiesAfter = async ({ api, socket }: World, number: number): Promise<string[]> => {
  const hash = await socket.request('chain_getBlockHash', [number]);
  const stored = await socket.request('state_call', ['GrandpaApi_grandpa_authorities', '0x', hash]);
  return authoritiesOf(api, String(stored));
};

describe('grandpa_proveFinality', () => {
  it('proves a block of the present authority set by the newest final block and the headers between', async () => {
    const where = await world();
    where.chain.newBlocks(12);
    const authorities = await authoritiesAfter(where, 0);
    expect(authorities).toHaveLength(4);
    const { block, justification, headers } = await soundProof(where, 4);
    expect(justification.target).toEqual(where.chain.finalized());
    expect(block).toBe(where.chain.finalized().hash);
    expect(faultsOf(justification, 0, authorities)).toEqual([]);
    expect(headers.map(({ number }) => number)).toEqual([5, 6, 7, 8, 9, 10]);
    expect(headers[0]?.parent).toBe(await where.socket.request('chain_getBlockHash', [4]));
    expect(headers.at(-1)?.hash).toBe(block);
  });

  it('has no proof for genesis alone, and refuses a block that is not final', async () => {
    const where = await world();
    expect(await where.socket.request('grandpa_proveFinality', [0])).toBeNull();
    where.chain.newBlocks(4);
    await expect(where.socket.request('grandpa_proveFinality', [3])).rejects.toThrow(
      'GRANDPA prove finality rpc failed: Block not yet finalized',
    );
    await expect(where.socket.request('grandpa_proveFinality', ['x'])).rejects.toThrow('Invalid params');
  });

  it('@polkadot/api reads the proof, the round and the block with its justification', async () => {
    const { chain, api } = await world();
    chain.rotateAuthorities();
    chain.newBlocks(6);
    const proof = await api.rpc.grandpa.proveFinality(1);
    expect(proof.isSome).toBe(true);
    expect((await api.rpc.grandpa.roundState()).setId.toNumber()).toBe(1);
    const { justifications } = await api.rpc.chain.getBlock((await api.rpc.chain.getBlockHash(1)).toHex());
    expect(justifications.unwrap()[0]?.[0].toUtf8()).toBe('FRNK');
  });
});

describe('justifications', () => {
  it.each([1, 2, 3, 7])('of %i authorities are valid, one for every final block', async (authorities) => {
    const { chain, api } = await world({ authorities });
    const heard: string[] = [];
    const socket = await socketTo(chain.url);
    await socket.subscribe('grandpa_subscribeJustifications', (result) => heard.push(String(result)));
    chain.newBlocks(8);
    await socket.request('system_chain', []);
    const { authorities: ids } = chain.checkpoint();
    const decoded = heard.map((hex) => decodeJustification(api, hex));
    expect(decoded.map(({ target }) => target.number)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const justification of decoded) expect(faultsOf(justification, 0, ids)).toEqual([]);
  });

  it('some justifications hold a vote for a descendant with its ancestry, or one vote less', async () => {
    const where = await world({ variedVotes: true });
    where.chain.rotateAuthorities();
    const shapes = new Set<string>();
    for (let block = 0; block < 30; block += 1) {
      where.chain.newBlocks(1);
      const { number } = where.chain.finalized();
      if (number === 0) continue;
      const { justification } = await soundProof(where, number);
      const setId = number === 1 ? 0 : 1;
      const authorities = await authoritiesAfter(where, number === 1 ? 0 : 1);
      expect(faultsOf(justification, setId, authorities)).toEqual([]);
      shapes.add(`${justification.precommits.length} votes, ${justification.ancestries.length} headers`);
    }
    expect([...shapes].sort()).toEqual([
      '3 votes, 0 headers',
      '3 votes, 2 headers',
      '4 votes, 0 headers',
      '4 votes, 2 headers',
    ]);
  });

  it('on request, the last block of a set is final only with the vote of an authority that equivocated', async () => {
    const where = await world({ equivocatingHandovers: true });
    const handovers: number[] = [];
    for (let era = 0; era < 4; era += 1) {
      where.chain.newBlocks(3);
      handovers.push(where.chain.rotateAuthorities());
      where.chain.newBlocks(3);
    }
    const below: number[][] = [];
    for (const [setId, last] of handovers.entries()) {
      const { justification } = await soundProof(where, last);
      expect(justification.target.number).toBe(last);
      const authorities = await authoritiesAfter(where, handovers[setId - 1] ?? 0);
      const faults = faultsOf(justification, setId, authorities).filter((fault) => fault !== 'elsewhere');
      expect(faults).toEqual(['twice']);
      const signers = justification.precommits.map(({ id }) => id);
      // Three different authorities of four, one of them by two votes.
      expect([signers.length, new Set(signers).size]).toEqual([4, 3]);
      below.push(justification.precommits.slice(-2).map(({ target }) => target.number - last));
    }
    expect(below).toEqual([
      [-1, 0],
      [-2, -1],
      [-1, 0],
      [-2, -1],
    ]);
  });

  it('no vote goes beyond the last block of the set', async () => {
    const where = await world({ variedVotes: true });
    // Round 3 is the first with a vote for descendants; block 4 ends the set.
    where.chain.newBlocks(3);
    where.chain.rotateAuthorities();
    const heard: Justification[] = [];
    await where.socket.subscribe('grandpa_subscribeJustifications', (result) =>
      heard.push(decodeJustification(where.api, String(result))),
    );
    where.chain.newBlocks(6);
    await where.socket.request('system_chain', []);
    const targets = heard.map(({ precommits }) => precommits.map(({ target }) => target.number));
    expect(targets.slice(1, 3)).toEqual([
      [3, 3, 3, 4],
      [4, 4, 4],
    ]);
  });
});

describe('dev_rotateAuthorities', () => {
  it('a scheduled change: the announcing block is the last block of the old set, and its proof is kept', async () => {
    const where = await world();
    const { chain, socket, api } = where;
    const announced: number[] = [];
    for (const count of [1, 5, undefined]) {
      const { block } = (await socket.request(
        'dev_rotateAuthorities',
        count === undefined ? [] : [count],
      )) as {
        block: number;
      };
      announced.push(block);
      chain.newBlocks(4);
    }
    expect(announced).toEqual([1, 5, 9]);
    chain.newBlocks(4);
    const sizes = [4, 1, 5, 5];
    for (const [setId, last] of [...announced, chain.finalized().number].entries()) {
      const first = announced[setId - 1] ?? 0;
      const authorities = await authoritiesAfter(where, first);
      expect(authorities).toHaveLength(sizes[setId] ?? 0);
      for (let number = first + 1; number <= last; number += 1) {
        const { justification, headers } = await soundProof(where, number);
        expect(justification.target.number).toBe(last);
        expect(headers).toHaveLength(last - number);
        expect(faultsOf(justification, setId, authorities)).toEqual([]);
      }
    }
    for (const last of announced) {
      const hash = await socket.request('chain_getBlockHash', [last]);
      const header = api.createType<Header>('Header', await socket.request('chain_getHeader', [hash]));
      const change = [...header.digest.logs].find(({ isConsensus }) => isConsensus)?.asConsensus;
      expect(change?.[0].toUtf8()).toBe('FRNK');
      const [next, delay] = api
        .createType('(u8, Vec<(AuthorityId, u64)>, u32)', change?.[1].toU8a(true))
        .slice(1);
      expect(authoritiesOf(api, next?.toHex() ?? '')).toEqual(await authoritiesAfter(where, last));
      expect(delay?.toString()).toBe('0');
      // The block that announces keeps the justification that proveFinality gives for it; its child keeps none.
      const signed = (await socket.request('chain_getBlock', [hash])) as {
        justifications: [number[], number[]][];
      };
      const kept = signed.justifications[0]?.map((bytes) => Uint8Array.from(bytes)) ?? [];
      expect(new TextDecoder().decode(kept[0])).toBe('FRNK');
      expect(toPrefixedHex(kept[1] ?? new Uint8Array(0))).toBe((await soundProof(where, last)).hex);
      const child = await socket.request('chain_getBlockHash', [last + 1]);
      expect(await socket.request('chain_getBlock', [child])).toMatchObject({ justifications: null });
    }
  });

  it('a delayed change: the old set signs until the delay ends', async () => {
    const where = await world({ finalityLag: 0 });
    const before = await authoritiesAfter(where, 0);
    await where.socket.request('dev_rotateAuthorities', [4, { delay: 3 }]);
    where.chain.newBlocks(2);
    expect(() => where.chain.rotateAuthorities()).toThrow(RangeError);
    where.chain.newBlocks(4);
    expect(faultsOf((await soundProof(where, 1)).justification, 0, before)).toEqual([]);
    expect((await soundProof(where, 1)).justification.target.number).toBe(4);
    const after = await authoritiesAfter(where, 4);
    expect(await authoritiesAfter(where, 3)).toEqual(before);
    expect(after).not.toEqual(before);
    expect(faultsOf((await soundProof(where, 5)).justification, 1, after)).toEqual([]);
    const setIds = await Promise.all(
      [0, 1, 5].map(async (number) => {
        const hash = await where.socket.request('chain_getBlockHash', [number]);
        return await where.socket.request('state_call', ['GrandpaApi_current_set_id', '0x', hash]);
      }),
    );
    expect(setIds).toEqual(['0x0000000000000000', '0x0100000000000000', '0x0100000000000000']);
  });

  it('a forced change: the new set finalizes the announcing block', async () => {
    const where = await world({ finalityLag: 1 });
    where.chain.newBlocks(3);
    await where.socket.request('dev_rotateAuthorities', [null, { forced: true }]);
    where.chain.newBlocks(3);
    const [before, after] = [await authoritiesAfter(where, 0), await authoritiesAfter(where, 4)];
    expect(faultsOf((await soundProof(where, 3)).justification, 0, before)).toEqual([]);
    expect(faultsOf((await soundProof(where, 4)).justification, 1, after)).toEqual([]);
    const header = await where.socket.request('chain_getHeader', [
      await where.socket.request('chain_getBlockHash', [4]),
    ]);
    // Consensus, FRNK, a compact length, ForcedChange, and 2, the last final block when it was announced.
    expect(JSON.stringify(header)).toMatch(/"0x0446524e4b[0-9a-f]{4}0202000000/);
  });

  it('a change is undone when its announcing block is reverted', async () => {
    const { chain } = await world({ finalityLag: 3 });
    chain.newBlocks(3);
    chain.rotateAuthorities();
    chain.newBlocks(1);
    chain.reorganize(1);
    chain.newBlocks(5);
    expect(chain.checkpoint().authoritySetId).toBe(0);
  });

  it.each([
    [[0]],
    [[1001]],
    [['x']],
    [[4, { delay: -1 }]],
    [[4, { delay: 1, forced: true }]],
    [[4, { other: 1 }]],
  ])('refuses %j', async (params) => {
    const { socket, chain } = await world();
    await expect(socket.request('dev_rotateAuthorities', params)).rejects.toThrow();
    chain.newBlocks(3);
    expect(chain.checkpoint().authoritySetId).toBe(0);
  });
});

describe('dev_checkpoint', () => {
  it('has the form of the trust section and names the next authority set', async () => {
    const where = await world({ finalityLag: 0 });
    where.chain.rotateAuthorities();
    where.chain.newBlocks(1);
    const checkpoint = await where.socket.request('dev_checkpoint', []);
    expect(checkpoint).toEqual({
      blockNumber: 1,
      blockHash: where.chain.finalized().hash,
      authoritySetId: 1,
      authorities: (await authoritiesAfter(where, 1)).sort(),
    });
    const section = parseTrustSection({ chain: { genesisHash: where.chain.genesisHash, checkpoint } });
    expect(section.chain.checkpoint).toEqual(checkpoint);
  });

  it('depends on the genesis seed, so that each seed gives another chain', async () => {
    const seeded = async (byte: number, impostors = false): Promise<World> => {
      const options = { genesisSeed: new Uint8Array(16).fill(byte), finalityLag: 0, now: () => 1, impostors };
      const where = await world(options);
      register(where.chain, 1);
      where.chain.newBlocks(2);
      return where;
    };
    const [one, same, other, fork] = [
      await seeded(1),
      await seeded(1),
      await seeded(2),
      await seeded(1, true),
    ];
    expect(same.chain.checkpoint()).toEqual(one.chain.checkpoint());
    expect(other.chain.checkpoint().authorities).not.toEqual(one.chain.checkpoint().authorities);
    // A fork by other signers differs only in its signers.
    expect(fork.chain.checkpoint()).toEqual(one.chain.checkpoint());
    const { authorities } = one.chain.checkpoint();
    expect(faultsOf((await soundProof(one, 1)).justification, 0, authorities)).toEqual([]);
    expect(faultsOf((await soundProof(fork, 1)).justification, 0, authorities)).toEqual(['stranger']);
  });
});

describe('lies about finality', () => {
  const faults: Partial<Record<Lie, readonly string[]>> = {
    'too-few-signatures': ['too few'],
    'duplicate-signers': ['too few', 'twice'],
    'foreign-signers': ['stranger'],
    'bad-signatures': ['signature'],
    'wrong-set-id': ['signature'],
    'wrong-round': ['signature'],
    'missing-ancestry': ['elsewhere'],
    'feigned-equivocation': ['elsewhere', 'twice'],
    'spoilt-equivocation': ['elsewhere', 'signature', 'twice'],
    'foreign-equivocation': ['elsewhere', 'stranger', 'twice'],
  };

  it.each(Object.entries(faults))('%s has its effect on its connection alone', async (lie, expected) => {
    const where = await world();
    where.chain.newBlocks(6);
    const lying = await socketTo(where.chain.lyingUrl(lie as Lie));
    const { authorities } = where.chain.checkpoint();
    const proof = await proofOf(where, lying, 2);
    expect(proof && faultsOf(proof.justification, 0, authorities)).toEqual(expected);
    expect(faultsOf((await soundProof(where, 2)).justification, 0, authorities)).toEqual([]);
  });

  it('the old justification is valid for an old block', async () => {
    const where = await world();
    where.chain.newBlocks(6);
    where.chain.tell('replay-justification');
    const { justification, headers } = await soundProof(where, 3);
    expect(justification.target.number).toBe(1);
    expect(headers).toEqual([]);
    expect(faultsOf(justification, 0, where.chain.checkpoint().authorities)).toEqual([]);
  });

  it('withheld justifications are missing in every answer', async () => {
    const { chain, socket } = await world();
    chain.rotateAuthorities();
    chain.newBlocks(4);
    const heard: unknown[] = [];
    await socket.subscribe('grandpa_subscribeJustifications', (result) => heard.push(result));
    await socket.request('dev_tamper', [['withhold-justifications'], 'connection']);
    chain.newBlocks(2);
    expect(await socket.request('grandpa_proveFinality', [1])).toBeNull();
    const hash = await socket.request('chain_getBlockHash', [1]);
    expect(await socket.request('chain_getBlock', [hash])).toMatchObject({ justifications: null });
    expect(heard).toEqual([]);
    // The truth again.
    expect(await socket.request('dev_tamper', [[], 'connection'])).toEqual({ lies: [] });
    expect(await socket.request('grandpa_proveFinality', [1])).not.toBeNull();
  });

  it('lies can be switched on for all connections, by known names only', async () => {
    const { chain, socket } = await world();
    const other = await socketTo(chain.url);
    expect(await socket.request('dev_tamper', [allLies])).toEqual({ lies: allLies });
    chain.newBlocks(4);
    expect(await other.request('grandpa_proveFinality', [1])).toBeNull();
    await expect(socket.request('dev_tamper', [['white-lie']])).rejects.toThrow('unknown lie');
    await expect(socket.request('dev_tamper', [[], 'world'])).rejects.toThrow('scope');
    // Ends only when the server has closed it.
    const { ended } = await socketTo(`${chain.url}/?lies=white-lie`);
    expect(await ended).toBeTypeOf('string');
  });
});
