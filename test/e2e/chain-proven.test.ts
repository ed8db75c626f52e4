import { afterEach, describe, expect, it } from 'vitest';
import {
  type DevelopmentChain,
  type DevelopmentChainOptions,
  startDevelopmentChain,
} from '../../devnet/chain/development-chain.ts';
import { allLies, type Lie } from '../../devnet/chain/lies/lies.ts';
import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../src/bytes/hex.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import {
  type ConnectChainOptions,
  connectChain,
  type PolkadotChainView,
} from '../../src/chain/polkadot-chain-view.ts';
import type { Checkpoint } from '../../src/chain/proof/finality-tracker.ts';
import { storageItems } from '../../src/chain/storage-keys.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { accountOf, eventually, quickOptions, register } from '../support/chain-fixtures.ts';
import { decoderChildren } from '../support/decoder-children.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

const GENESIS_SEED = new Uint8Array(16).fill(7);

/** A chain that makes a block only when the test asks for it; a few servers are registered and final. */
async function chainWith(servers: number, options: DevelopmentChainOptions = {}): Promise<DevelopmentChain> {
  const chain = await startDevelopmentChain({
    blockTimeMs: 0,
    finalityLag: 1,
    genesisSeed: GENESIS_SEED,
    ...options,
  });
  open.push(chain);
  for (let n = 1; n <= servers; n += 1) register(chain, n);
  chain.newBlocks(2);
  return chain;
}

function checkpointOf(chain: DevelopmentChain): Checkpoint {
  const { blockNumber, blockHash, authoritySetId, authorities } = chain.checkpoint();
  const bytes = (hex: string): Uint8Array => parsePrefixedHex(hex, 32, 'checkpoint');
  return { blockNumber, blockHash: bytes(blockHash), authoritySetId, authorities: authorities.map(bytes) };
}

/** A chain with two servers, and the checkpoint from before there was any. */
async function grown(options: DevelopmentChainOptions = {}) {
  const chain = await chainWith(0, options);
  const checkpoint = checkpointOf(chain);
  for (const n of [1, 2]) register(chain, n);
  chain.newBlocks(2);
  return { chain, checkpoint };
}

async function follow(
  urls: readonly string[],
  checkpoint: Checkpoint,
  options: Partial<ConnectChainOptions> = {},
): Promise<{ readonly view: PolkadotChainView; readonly log: readonly ChainLogEvent[] }> {
  const log: ChainLogEvent[] = [];
  const view = await connectChain({
    ...quickOptions(...urls),
    checkpoint,
    log: (event) => log.push(event),
    ...options,
  });
  open.push(view);
  return { view, log };
}

const accounts = async (view: PolkadotChainView): Promise<readonly (number | undefined)[]> =>
  (await view.snapshot()).servers.map(({ account }) => account[0]);

/** Waits until the view shows these servers. */
const shows = (view: PolkadotChainView, wanted: readonly number[]): Promise<true> =>
  eventually(async () => ((await accounts(view)).join() === wanted.join() ? true : undefined));

describe('a chain read by proof', () => {
  it('gives the same snapshot as a read without proofs, and decodes no metadata', async () => {
    const { chain, checkpoint } = await grown();
    chain.setSigners([accountOf(0x81)]);
    chain.newBlocks(2);
    const { view } = await follow([chain.url], checkpoint);
    const proven = await view.snapshot();
    expect(await decoderChildren()).toEqual([]);
    const believing = await connectChain(quickOptions(chain.url));
    open.push(believing);
    expect(proven).toEqual(await believing.snapshot());
    expect(proven.servers.map(({ signer, active }) => [signer, active])).toEqual([
      [true, true],
      [false, true],
    ]);
  });

  it('follows changes, removals and changes of the authority set, block by block and after a long gap', async () => {
    const { chain, checkpoint } = await grown();
    const { view } = await follow([chain.url], checkpoint);
    expect(await accounts(view)).toEqual([1, 2]);
    register(chain, 3);
    chain.newBlocks(2);
    await shows(view, [1, 2, 3]);
    for (let era = 0; era < 5; era += 1) {
      chain.rotateAuthorities();
      chain.newBlocks(3);
    }
    register(chain, 4);
    chain.newBlocks(2);
    await shows(view, [1, 2, 3, 4]);
    // A node that starts now walks through all of it from the same checkpoint.
    const late = await follow([chain.url], checkpoint);
    expect(await accounts(late.view)).toEqual([1, 2, 3, 4]);
    expect((await late.view.snapshot()).block).toEqual((await view.snapshot()).block);
  });

  it.each([0, 1] as const)('reads state version %i, and votes for later blocks', async (stateVersion) => {
    const { chain, checkpoint } = await grown({ stateVersion, variedVotes: true });
    const { view } = await follow([chain.url], checkpoint);
    expect(await accounts(view)).toEqual([1, 2]);
  });

  it('follows changes of the authority set that are final only with the votes of an authority that equivocated', async () => {
    const { chain, checkpoint } = await grown({ equivocatingHandovers: true, variedVotes: true });
    const { view } = await follow([chain.url], checkpoint);
    for (let era = 0; era < 4; era += 1) {
      chain.rotateAuthorities();
      chain.newBlocks(4);
    }
    register(chain, 3);
    chain.newBlocks(2);
    await shows(view, [1, 2, 3]);
    const late = await follow([chain.url], checkpoint);
    expect(await accounts(late.view)).toEqual([1, 2, 3]);
  });

  it('reads more servers than fit into one proof request', async () => {
    const chain = await chainWith(0);
    const checkpoint = checkpointOf(chain);
    for (let n = 1; n <= 120; n += 1) register(chain, n, { quote: new Uint8Array(700).fill(n) });
    for (let n = 1; n <= 120; n += 1)
      register(chain, n, {
        stash: AccountId.of(new Uint8Array(32).fill(n).with(31, 0xff)),
        account: AccountId.of(new Uint8Array(32).fill(n).with(31, 0xfe)),
        quote: new Uint8Array(700).fill(n),
      });
    chain.newBlocks(2);
    const { view } = await follow([chain.url], checkpoint);
    expect((await view.snapshot()).servers).toHaveLength(240);
  });
});

describe('a block after the one that was read', () => {
  /** Follows a chain, and notes what is asked for; `change` sees and may replace the nodes of each read proof. */
  async function watched(change: (nodes: readonly string[]) => readonly string[] = (nodes) => nodes) {
    const { chain, checkpoint } = await grown();
    const followed = await follow([chain.url], checkpoint);
    const before = await followed.view.snapshot();
    const asked: string[] = [];
    chain.setTamper((method, params, result) => {
      const [keys] = params;
      asked.push(method === 'state_getReadProof' && Array.isArray(keys) ? `proof of ${keys.length}` : method);
      // The answer of the development chain.
      const { proof } = (result ?? {}) as { readonly proof?: readonly string[] };
      return proof === undefined ? result : { ...(result as object), proof: change(proof) };
    });
    /** Makes blocks, and waits until the last final one was read. */
    const next = async () => {
      asked.length = 0;
      const { number } = (await followed.view.snapshot()).block;
      chain.newBlocks(1);
      return await eventually(async () => {
        const snapshot = await followed.view.snapshot();
        return snapshot.block.number > number ? snapshot : undefined;
      });
    };
    return { chain, asked, before, next, ...followed };
  }

  it('is read without the records while none of them changes, and with all of them when one does', async () => {
    const { asked, before, chain, next } = await watched();
    const quiet = await next();
    expect(asked).toContain('proof of 7');
    // Header and hash come with the news of the head; the hash of the block before is asked for.
    expect(asked).not.toContain('chain_getHeader');
    expect(asked.filter((method) => method === 'chain_getBlockHash').length).toBeLessThan(2);
    expect(asked).not.toContain('state_getKeysPaged');
    expect(quiet.servers).toBe(before.servers);
    register(chain, 3);
    await next();
    const changed = await next();
    expect(changed.servers.map(({ account }) => account[0])).toEqual([1, 2, 3]);
    expect((await next()).servers).toBe(changed.servers);
    expect(asked).not.toContain('state_getKeysPaged');
  });

  it('is refused when one bit of a node that did not change is another one', async () => {
    let changed = -1;
    let known: ReadonlySet<string> = new Set();
    const flipped = (node: string): string =>
      `${node.slice(0, -1)}${((Number.parseInt(node.slice(-1), 16) ^ 1) & 15).toString(16)}`;
    const { chain, log, next, view } = await watched((nodes) => {
      const unchanged = nodes.filter((node) => known.has(node));
      if (changed < 0) known = new Set(nodes);
      else expect(unchanged.length).toBeGreaterThan(3);
      const target = unchanged[changed % Math.max(1, unchanged.length)];
      return changed < 0 ? nodes : nodes.map((node) => (node === target ? flipped(node) : node));
    });
    const { number } = (await next()).block;
    for (changed = 0; changed < 4; changed += 1) {
      const failures = log.length;
      chain.newBlocks(1);
      await eventually(async () => (log.length > failures ? true : undefined));
    }
    expect((await view.snapshot()).block.number).toBe(number);
    expect(log.map(({ code }) => code)).toContain('CHAIN_PROOF_INVALID');
  });
});

describe('the layout of proven records', () => {
  const outcomeOf = async (
    change: (chain: DevelopmentChain) => void,
    options: DevelopmentChainOptions = {},
  ) => {
    const { chain, checkpoint } = await grown(options);
    change(chain);
    chain.newBlocks(3);
    const attempt = connectChain({ ...quickOptions(chain.url), checkpoint, deadlineMs: 5000 });
    return await attempt.then(
      async (view) => {
        open.push(view);
        return (await accounts(view)).join();
      },
      (error: { readonly code?: string }) => error.code ?? 'untyped',
    );
  };
  const lastUpgrade = storageItems.lastRuntimeUpgrade.prefix;
  const plainKey = storageItems.acceptedMeasurementValues.prefix;

  it.each<[string, DevelopmentChainOptions]>([
    ['spec 500', {}],
    ['spec 400 of unreleased code', { specVersion: 400 }],
  ])('%s is read', async (_name, options) => {
    expect(await outcomeOf(() => undefined, options)).toBe('1,2');
  });

  it.each<[string, (chain: DevelopmentChain) => void, DevelopmentChainOptions]>([
    ['v0.3.0', () => undefined, { shape: 'entropy-300', specVersion: 300 }],
    ['v0.4.0', () => undefined, { shape: 'entropy-400', specVersion: 400 }],
    [
      'v0.4.0 with measurements',
      (chain) => chain.setAcceptedMeasurements([new Uint8Array(32)]),
      { shape: 'entropy-400', specVersion: 400 },
    ],
    ['a version that is not known', (chain) => chain.upgradeRuntime('entropy-500', 501), {}],
    ['another runtime', (chain) => chain.setStorage([[lastUpgrade, '0xd1070c666f6f']]), {}],
    ['no version', (chain) => chain.setStorage([[lastUpgrade, null]]), {}],
    ['a value at the plain key', (chain) => chain.setStorage([[plainKey, '0x00']]), {}],
    ['a quote that is too short', (chain) => register(chain, 3, { quote: new Uint8Array(635) }), {}],
  ])('%s is refused with CHAIN_SHAPE_UNKNOWN', async (_name, change, options) => {
    expect(await outcomeOf(change, options)).toBe('CHAIN_SHAPE_UNKNOWN');
  });
});

/** Lies that leave a true answer: what they change is not asked for, or not believed. */
const harmless: ReadonlySet<Lie> = new Set<Lie>(['surplus-proof-nodes']);
/** Lies that would hide a server or alter one. */
const aboutProofs: ReadonlySet<Lie> = new Set<Lie>([
  'hide-key',
  'hide-all-keys',
  'drop-proof-node',
  'flip-proof-byte',
  'empty-proof',
]);

describe('an endpoint that lies', () => {
  it.each(allLies.filter((lie) => !harmless.has(lie)))('%s: no snapshot, and a reason', async (lie) => {
    const { chain, checkpoint } = await grown();
    // It is known what was proven before it lied; from then on it must not show anything newer or other.
    const attempt = connectChain({
      ...quickOptions(chain.lyingUrl(lie)),
      checkpoint,
      deadlineMs: 3000,
    });
    const outcome = await attempt.then(
      async (view) => {
        open.push(view);
        return { servers: await accounts(view), block: (await view.snapshot()).block.number };
      },
      (error: { readonly code?: string }) => error.code ?? 'untyped',
    );
    if (aboutProofs.has(lie)) expect(outcome).toBe('CHAIN_PROOF_INVALID');
    else if (typeof outcome === 'string')
      expect(outcome).toMatch(/^CHAIN_(PROOF_INVALID|FINALITY_UNPROVEN|UNAVAILABLE|DISAGREEMENT)$/);
    else {
      // Some lies only withhold data: then the view shows an older proven block with its true state.
      expect([[], [1, 2]]).toContainEqual(outcome.servers);
      expect(outcome.block).toBeLessThanOrEqual(chain.checkpoint().blockNumber);
    }
  });

  it.each(allLies)('does not disturb an honest second endpoint: %s', async (lie) => {
    const { chain, checkpoint } = await grown();
    const { view } = await follow([chain.lyingUrl(lie), chain.url], checkpoint);
    await shows(view, [1, 2]);
    register(chain, 3);
    chain.newBlocks(2);
    await shows(view, [1, 2, 3]);
  });

  it('cannot make the view accept a fork that other authorities signed', async () => {
    const { chain, checkpoint } = await grown();
    const fork = await chainWith(0, { impostors: true });
    register(fork, 9);
    fork.newBlocks(6);
    const attempt = connectChain({ ...quickOptions(fork.url), checkpoint, deadlineMs: 3000 });
    await expect(attempt).rejects.toMatchObject({
      code: expect.stringMatching(/^CHAIN_(FINALITY_UNPROVEN|PROOF_INVALID)$/),
    });
    const { view } = await follow([fork.url, chain.url], checkpoint);
    expect(await accounts(view)).toEqual([1, 2]);
  });

  it('cannot keep an old snapshot valid: a proven block has a time', async () => {
    const { chain, checkpoint } = await grown();
    let aheadMs = 0;
    const clock: Clock = { nowMs: () => Date.now() + aheadMs, sleep: systemClock.sleep };
    const { view } = await follow([chain.url], checkpoint, {
      ...{ clock, maxBlockAgeMs: 60_000, deadlineMs: 2000 },
    });
    expect(await accounts(view)).toEqual([1, 2]);
    aheadMs = 120_000;
    // No block was read since then, but the block that is known has grown old.
    await expect(view.snapshot()).rejects.toMatchObject({ code: 'CHAIN_STALE' });
    const late = connectChain({
      ...quickOptions(chain.url),
      ...{ checkpoint, clock, maxBlockAgeMs: 60_000, deadlineMs: 1500 },
    });
    await expect(late).rejects.toMatchObject({
      code: 'CHAIN_STALE',
      message: expect.stringContaining('too old'),
    });
  });

  it('cannot delay a view by false claims and slow answers: other endpoints are asked first', async () => {
    const { chain, checkpoint } = await grown();
    const liar = await chainWith(2);
    let asked = 0;
    // It claims to be far ahead, and has an endless list of keys with slow pages.
    liar.setTamper((method, params, result) => {
      if (method === 'chain_subscribeFinalizedHeads' || method === 'chain_getHeader')
        return typeof result === 'object' && result !== null ? { ...result, number: '0xffff' } : result;
      if (method !== 'state_getKeysPaged') return result;
      asked += 1;
      const [prefix, , after] = params as [string, number, string | null];
      const from = after === null ? 0 : Number.parseInt(after.slice(-8), 16) + 1;
      return Array.from(
        { length: 256 },
        (_, index) => prefix + (from + index).toString(16).padStart(96, '0'),
      );
    });
    const { view } = await follow([liar.url, chain.url], checkpoint, { readDeadlineMs: 500 });
    await shows(view, [1, 2]);
    register(chain, 3);
    chain.newBlocks(2);
    await shows(view, [1, 2, 3]);
    expect(asked).toBeLessThan(200);
  });

  it('cannot go past a change of the authorities that the view does not support', async () => {
    const { chain, checkpoint } = await grown();
    chain.rotateAuthorities({ delay: 2 });
    chain.newBlocks(6);
    const attempt = connectChain({ ...quickOptions(chain.url), checkpoint, deadlineMs: 2000 });
    await expect(attempt).rejects.toMatchObject({ code: 'CHAIN_AUTHORITIES_UNKNOWN' });
  });

  it('cannot hide records by metadata, which are not used; another record layout fails the read', async () => {
    const { chain, checkpoint } = await grown();
    chain.setTamper((method, _params, result) => (method === 'state_getMetadata' ? '0x00' : result));
    const { view } = await follow([chain.url], checkpoint);
    expect(await accounts(view)).toEqual([1, 2]);
    chain.upgradeRuntime('reordered');
    chain.newBlocks(4);
    const attempt = connectChain({ ...quickOptions(chain.url), checkpoint, deadlineMs: 2000 });
    await expect(attempt).rejects.toMatchObject({ code: 'CHAIN_SHAPE_UNKNOWN' });
  });
});
