import { randomUUID } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { RpcError } from '../../devnet/chain/rpc.ts';
import { parsePrefixedHex } from '../../src/bytes/hex.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import { type ConnectChainOptions, PolkadotChainView } from '../../src/chain/polkadot-chain-view.ts';
import type { Checkpoint } from '../../src/chain/proof/finality-tracker.ts';
import { eventually, quickOptions, register } from '../support/chain-fixtures.ts';
import { ManualClock } from '../support/collateral-world.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function chainOf(
  servers: number,
): Promise<{ readonly chain: DevelopmentChain; readonly checkpoint: Checkpoint }> {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1 });
  open.push(chain);
  chain.newBlocks(2);
  const { blockNumber, blockHash, authoritySetId, authorities } = chain.checkpoint();
  const bytes = (hex: string): Uint8Array => parsePrefixedHex(hex, 32, 'checkpoint');
  for (let n = 1; n <= servers; n += 1) register(chain, n);
  chain.newBlocks(2);
  return {
    chain,
    checkpoint: {
      blockNumber,
      blockHash: bytes(blockHash),
      authoritySetId,
      authorities: authorities.map(bytes),
    },
  };
}

function follow(chain: DevelopmentChain, options: Partial<ConnectChainOptions> = {}) {
  const log: ChainLogEvent[] = [];
  const view = new PolkadotChainView({
    ...quickOptions(chain.url),
    log: (event) => log.push(event),
    ...options,
  });
  open.push(view);
  const events = (name: ChainLogEvent['event']): readonly ChainLogEvent[] =>
    log.filter(({ event }) => event === name);
  return { view, log, events };
}

const has = (view: PolkadotChainView, servers: number): Promise<true> =>
  eventually(async () => {
    const snapshot = await view.snapshot().catch(() => undefined);
    return snapshot?.servers.length === servers ? true : undefined;
  });

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('expected a TCP address');
  return address.port;
}

/** Methods whose first parameter is a list of keys. */
const paged: readonly string[] = ['state_getReadProof', 'state_queryStorageAt'];

/** Makes the endpoint limit its answers. @returns the sizes of all pages that it was asked for. */
function limitAnswers(chain: DevelopmentChain, most: number, refuse: () => unknown): number[] {
  const pages: number[] = [];
  chain.setTamper((method, params, result) => {
    if (!paged.includes(method) || !Array.isArray(params[0])) return result;
    pages.push(params[0].length);
    return JSON.stringify(result).length > most ? refuse() : result;
  });
  return pages;
}

const refusals: readonly [string, (chain: DevelopmentChain) => unknown][] = [
  [
    'error -32702',
    () => {
      throw new RpcError(-32702, 'Response is too big');
    },
  ],
  [
    'error -32008',
    () => {
      throw new RpcError(-32008, 'Response is too big');
    },
  ],
  ['a closed connection', (chain) => chain.dropConnections()],
];

describe('an endpoint that limits its answers', () => {
  it.each(
    refusals.flatMap(([name, refuse]) => [
      [name, 'by proof', refuse] as const,
      [name, 'believed', refuse] as const,
    ]),
  )('by %s, read %s: the view uses and remembers smaller pages', async (_name, how, refuse) => {
    const { chain, checkpoint } = await chainOf(60);
    const pages = limitAnswers(chain, 200_000, () => refuse(chain));
    const { view } = follow(chain, how === 'by proof' ? { checkpoint } : {});
    await has(view, 60);
    const found = Math.max(...pages.slice(-2));
    expect(found).toBeLessThan(40);
    chain.dropConnections();
    const before = pages.length;
    register(chain, 61);
    chain.newBlocks(2);
    await has(view, 61);
    expect(Math.max(...pages.slice(before))).toBeLessThanOrEqual(found);
  });

  it('a limit below one record fails the read, and the error names the method', async () => {
    const { chain, checkpoint } = await chainOf(2);
    limitAnswers(chain, 100, () => {
      throw new RpcError(-32702, 'Response is too big');
    });
    const { view } = follow(chain, { checkpoint, deadlineMs: 1000 });
    await expect(view.snapshot()).rejects.toMatchObject({
      code: 'CHAIN_UNAVAILABLE',
      message: expect.stringContaining('state_getReadProof'),
    });
  });
});

describe('a read that always fails', () => {
  it('is repeated with growing pauses, and logged with a count', async () => {
    const { chain, checkpoint } = await chainOf(1);
    let reads = 0;
    chain.setTamper((method, _params, result) => {
      if (method !== 'state_getReadProof') return result;
      reads += 1;
      throw new RpcError(-32601, 'Method not found');
    });
    const clock = new ManualClock(Date.now());
    const hours = { maxBlockAgeMs: 7_200_000, readDeadlineMs: 7_200_000, requestDeadlineMs: 7_200_000 };
    const { events, view } = follow(chain, { checkpoint, clock, minRefreshMs: 1000, ...hours });
    const pending = view.snapshot();
    pending.catch(() => undefined);
    await eventually(() => (events('chain.read-failed').length > 0 ? true : undefined));
    // An hour, in which new blocks become final all the time.
    for (let second = 0; second < 3600; second += 5) {
      await clock.advance(5000);
      if (second % 300 === 0) chain.newBlocks(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(reads).toBeGreaterThan(5);
    expect(reads).toBeLessThan(150);
    const failures = events('chain.read-failed');
    expect(failures.length).toBeLessThan(10);
    expect(failures.map(({ count }) => count)).toEqual(failures.map((_event, index) => 2 ** index));
    await expect(pending).rejects.toMatchObject({
      message: expect.stringContaining('state_getReadProof'),
      hint: expect.stringContaining('read proofs'),
    });
    // What was wrong has been repaired.
    chain.setTamper(undefined);
    await eventually(async () => {
      await clock.advance(30_000);
      return events('chain.snapshot').length > 0 ? true : undefined;
    });
  });

  /** Reads fail until the pause is at its longest; then the clock stands still. */
  async function paused(options: (chain: DevelopmentChain) => Partial<ConnectChainOptions> = () => ({})) {
    const { chain, checkpoint } = await chainOf(1);
    let reads = 0;
    chain.setTamper((method, _params, result) => {
      if (method !== 'state_getReadProof') return result;
      reads += 1;
      throw new RpcError(-32603, `Internal error (request ${randomUUID()})`);
    });
    const clock = new ManualClock(Date.now());
    const hours = { maxBlockAgeMs: 7_200_000, readDeadlineMs: 7_200_000, requestDeadlineMs: 7_200_000 };
    const { events } = follow(chain, { checkpoint, clock, minRefreshMs: 1000, ...hours, ...options(chain) });
    await eventually(async () => {
      if (events('chain.read-failed').some(({ count }) => count === 8)) return true;
      await clock.advance(1000);
      return undefined;
    });
    expect(reads).toBe(8);
    return { chain, clock, events, reads: () => reads };
  }

  it('is repeated after a second when there is a new finalized head, and not sooner', async () => {
    const { chain, clock, events, reads } = await paused();
    chain.newBlocks(20);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(reads()).toBe(8);
    await clock.advance(1000);
    await eventually(() => (reads() === 9 ? true : undefined));
    // Nothing is new.
    for (let second = 0; second < 20; second += 1) await clock.advance(1000);
    expect(reads()).toBe(9);
    chain.setTamper(undefined);
    chain.newBlocks(1);
    await eventually(() => (events('chain.snapshot').length > 0 ? true : undefined));
  });

  it('is repeated as soon as another endpoint is connected', async () => {
    const relay = createServer();
    const listen = (port: number) =>
      new Promise<void>((resolve) => relay.listen(port, '127.0.0.1', () => resolve()));
    await listen(0);
    const port = portOf(relay);
    await new Promise((resolve) => relay.close(resolve));
    const { chain, clock, events, reads } = await paused(({ url }) => ({
      endpoints: [url, `ws://127.0.0.1:${port}`],
    }));
    for (let second = 0; second < 5; second += 1) await clock.advance(1000);
    expect(reads()).toBe(8);
    const sockets: Socket[] = [];
    relay.on('connection', (socket) => {
      const onward = connect(Number(new URL(chain.url).port), '127.0.0.1');
      sockets.push(socket, onward);
      for (const end of [socket, onward]) end.on('error', () => undefined);
      socket.pipe(onward).pipe(socket);
    });
    await listen(port);
    open.push({
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => relay.close(resolve));
      },
    });
    const connected = events('chain.connected').length;
    await eventually(async () => {
      if (events('chain.connected').length > connected) return true;
      await clock.advance(100);
      return undefined;
    });
    await eventually(() => (reads() > 8 ? true : undefined));
  });
});

/** No notification of finalized heads reaches the client: the subscription has another name there. */
const withoutHeads = (chain: DevelopmentChain): void =>
  chain.setTamper((method, _params, result) =>
    method === 'chain_subscribeFinalizedHeads' ? 'another subscription' : result,
  );

describe('a connection without finalized heads', () => {
  it('is not counted as a failed read, and the error names the missing part', async () => {
    const { chain } = await chainOf(1);
    withoutHeads(chain);
    const { events, view } = follow(chain, { deadlineMs: 500 });
    await expect(view.snapshot()).rejects.toMatchObject({
      code: 'CHAIN_UNAVAILABLE',
      message: expect.stringContaining('told of no finalized head yet'),
    });
    expect(events('chain.connected')).toHaveLength(1);
    expect(events('chain.read-failed')).toEqual([]);
  });

  it('is replaced when the endpoint has newer heads', async () => {
    const { chain } = await chainOf(1);
    withoutHeads(chain);
    const { events } = follow(chain, { watchdogMs: 300 });
    await eventually(() => (events('chain.disconnected').length > 0 ? true : undefined));
  });

  it('is kept as long as finality stands still', async () => {
    const { chain } = await chainOf(1);
    const clock = new ManualClock(Date.now());
    let looks = 0;
    chain.setTamper((method, _params, result) => {
      if (method === 'chain_getFinalizedHead') looks += 1;
      return result;
    });
    const { events, view } = follow(chain, { clock });
    await has(view, 1);
    for (let minute = 1; minute <= 10; minute += 1) {
      await clock.advance(60_000);
      await eventually(() => (looks === minute ? true : undefined));
      // The answer to the question for the header comes after that.
      await eventually(() => (events('chain.stalled').length > 0 ? true : undefined));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(events('chain.disconnected')).toEqual([]);
    expect(events('chain.stalled')).toHaveLength(1);
    register(chain, 2);
    chain.newBlocks(2);
    await has(view, 2);
  });
});
