import { afterEach, describe, expect, it } from 'vitest';
import {
  type DevelopmentChain,
  type DevelopmentChainOptions,
  startDevelopmentChain,
} from '../../devnet/chain/development-chain.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import {
  type ConnectChainOptions,
  connectChain,
  PolkadotChainView,
} from '../../src/chain/polkadot-chain-view.ts';
import { eventually, quickOptions, register } from '../support/chain-fixtures.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

/** Nodes of one chain: the same seed, clock and changes give the same blocks. */
async function nodes(count: number): Promise<DevelopmentChain[]> {
  const options: DevelopmentChainOptions = {
    blockTimeMs: 0,
    finalityLag: 1,
    genesisSeed: new Uint8Array(16).fill(7),
    now: () => 1_790_000_000_000,
  };
  const all: DevelopmentChain[] = [];
  for (let made = 0; made < count; made += 1) all.push(await startDevelopmentChain(options));
  open.push(...all);
  for (const node of all) extend(node, 1);
  return all;
}

/** The same change on every node that gets it. */
function extend(node: DevelopmentChain, n: number): void {
  register(node, n);
  node.newBlocks(2);
}

async function follow(all: readonly DevelopmentChain[], options: Partial<ConnectChainOptions>) {
  const log: ChainLogEvent[] = [];
  const view = await connectChain({
    ...quickOptions(...all.map(({ url }) => url)),
    log: (event) => log.push(event),
    ...options,
  });
  open.push(view);
  return { view, log };
}

const accounts = async (view: PolkadotChainView): Promise<(number | undefined)[]> =>
  (await view.snapshot()).servers.map(({ account }) => account[0]);

/** Lets one node lie about the endpoint of every server. */
function lie(node: DevelopmentChain): void {
  node.setTamper((method, _params, result) =>
    method === 'state_queryStorageAt'
      ? JSON.parse(JSON.stringify(result).replaceAll('3132372e302e302e31', '36362e36362e36362e31'))
      : result,
  );
}

describe('agreement of several endpoints', () => {
  it('two honest endpoints outvote one that lies', async () => {
    const [a, b, c] = await nodes(3);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes expected');
    lie(a);
    const { view } = await follow([a, b, c], { agreement: 2 });
    expect((await view.snapshot()).servers[0]?.endpoint).toBe('127.0.0.1:3001');
  });

  it('two endpoints that contradict each other give an error, not the answer of one', async () => {
    const all = await nodes(2);
    if (all[0] !== undefined) lie(all[0]);
    const log: ChainLogEvent[] = [];
    const view = new PolkadotChainView({
      ...quickOptions(...all.map(({ url }) => url)),
      agreement: 2,
      log: (event) => log.push(event),
    });
    open.push(view);
    await eventually(() => log.find(({ code }) => code === 'CHAIN_DISAGREEMENT'));
    expect(log.map(({ event }) => event)).not.toContain('chain.snapshot');
  });

  it('reads the newest block that enough endpoints report as final, and waits for slower endpoints', async () => {
    const [a, b] = await nodes(2);
    if (a === undefined || b === undefined) throw new Error('two nodes expected');
    const { view } = await follow([a, b], { agreement: 2 });
    const before = (await view.snapshot()).block.number;
    extend(a, 2);
    extend(a, 3);
    expect(await accounts(view)).toEqual([1]);
    extend(b, 2);
    await eventually(async () => ((await accounts(view)).length === 2 ? true : undefined));
    expect((await view.snapshot()).block.number).toBe(before + 2);
    extend(b, 3);
    await eventually(async () => ((await accounts(view)).length === 3 ? true : undefined));
  });

  it('agreement of two still works while the third endpoint is unreachable', async () => {
    const [a, b, c] = await nodes(3);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes expected');
    const { view } = await follow([a, b, c], { agreement: 2 });
    await a.close();
    for (const node of [b, c]) extend(node, 2);
    await eventually(async () => ((await accounts(view)).length === 2 ? true : undefined));
    await b.close();
    extend(c, 3);
    expect(await accounts(view)).toEqual([1, 2]);
  });

  it('without agreement, the next endpoint is used when one fails', async () => {
    const [a, b] = await nodes(2);
    if (a === undefined || b === undefined) throw new Error('two nodes expected');
    const { view } = await follow([a, b], {});
    await a.close();
    extend(b, 2);
    await eventually(async () => ((await accounts(view)).length === 2 ? true : undefined));
  });

  it.each([
    ['no endpoint', { endpoints: [] }, RangeError],
    ['more voices than endpoints', { endpoints: ['ws://127.0.0.1:1'], agreement: 2 }, RangeError],
    ['no voice', { endpoints: ['ws://127.0.0.1:1'], agreement: 0 }, RangeError],
    ['an endpoint twice', { endpoints: ['ws://a', 'ws://a'], agreement: 2 }, TypeError],
    ['http', { endpoints: ['http://127.0.0.1:1'] }, TypeError],
  ])('refuses %s', async (_name, options: ConnectChainOptions, kind) => {
    await expect(connectChain(options)).rejects.toThrow(kind);
  });
});
