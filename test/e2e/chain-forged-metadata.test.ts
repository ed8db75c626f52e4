import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type DevelopmentChain, startDevelopmentChain } from '../../devnet/chain/development-chain.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import { PolkadotChainView } from '../../src/chain/polkadot-chain-view.ts';
import { eventually, quickOptions, register } from '../support/chain-fixtures.ts';
import { decoderChildren } from '../support/decoder-children.ts';
import { forgedMetadata, forgeries, towerOf } from '../support/forged-metadata.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

/** A node of the one chain that all nodes of these tests are of. */
async function chainNode(): Promise<DevelopmentChain> {
  const chain = await startDevelopmentChain({
    blockTimeMs: 0,
    finalityLag: 1,
    genesisSeed: new Uint8Array(16).fill(9),
    now: () => 1_790_000_000_000,
  });
  open.push(chain);
  register(chain, 1);
  chain.newBlocks(2);
  return chain;
}

function forge(chain: DevelopmentChain, metadata: unknown): void {
  chain.setTamper((method, _params, honest) => (method === 'state_getMetadata' ? metadata : honest));
}

function follow(chains: readonly DevelopmentChain[], agreement = 1) {
  const log: ChainLogEvent[] = [];
  const view = new PolkadotChainView({
    ...quickOptions(...chains.map(({ url }) => url)),
    agreement,
    deadlineMs: 60_000,
    decodeDeadlineMs: 8_000,
    log: (event) => log.push(event),
  });
  open.push(view);
  return { view, log };
}

/** An HTTP server of this process and a client that never pauses. @returns how many answers it has had. */
async function busyServer(): Promise<() => number> {
  const server = createServer((_request, response) => response.end('here'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let answers = 0;
  let isOpen = true;
  const asking = (async () => {
    while (isOpen) {
      if ((await (await fetch(url)).text()) === 'here') answers += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  open.push({
    async [Symbol.asyncDispose]() {
      isOpen = false;
      await asking;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return () => answers;
}

/** Takes all time. */
const tower = toPrefixedHex(forgedMetadata((types, { u8 }) => ({ extra: towerOf(types, 40, u8) })));

const forged: readonly (readonly [name: string, metadata: () => unknown])[] = [
  ...Object.entries(forgeries).map(
    ([name, forgery]) => [name, () => toPrefixedHex(forgedMetadata(forgery))] as const,
  ),
  ['more bytes than any runtime', () => `0x6d65746114${'00'.repeat(9 * 1024 * 1024)}`],
  ['counts beyond its end', () => '0x6d6574610efeffffff'],
  ['garbage', () => `0x6d6574610e${'a7'.repeat(5000)}`],
  ['nothing', () => '0x'],
  ['no text', () => ({ toString: 1 })],
];

describe('an endpoint with forged metadata', () => {
  it.each(forged)('%s is refused, and the rest of the process continues', async (_name, metadata) => {
    const chain = await chainNode();
    forge(chain, metadata());
    const answers = await busyServer();
    const { log } = follow([chain]);
    const before = answers();
    const failure = await eventually(() => log.find(({ event }) => event === 'chain.read-failed'));
    expect(['CHAIN_UNAVAILABLE', 'CHAIN_SHAPE_UNKNOWN']).toContain(failure.code);
    expect(log.map(({ event }) => event)).not.toContain('chain.snapshot');
    expect(failure.message?.length).toBeLessThan(2_000);
    await eventually(() => (answers() - before > 10 ? true : undefined));
  });

  it('endless metadata are refused in time, other work continues, and valid metadata are read afterwards', async () => {
    const chain = await chainNode();
    forge(chain, tower);
    const answers = await busyServer();
    const { view, log } = follow([chain]);
    await eventually(() => (decoderChildren().length > 0 ? true : undefined));
    const before = answers();
    await eventually(() => log.find(({ event }) => event === 'chain.decoder-failed'));
    // Decoding on this thread would have left time for one or two.
    expect(answers() - before).toBeGreaterThan(20);
    chain.setTamper(undefined);
    expect((await view.snapshot()).servers).toHaveLength(1);
  });

  it('arrays of empty types in an unread field cost nothing: the other fields are read', async () => {
    const chain = await chainNode();
    forge(
      chain,
      toPrefixedHex(
        forgedMetadata((types) => ({ extra: types.array(2048, types.array(2048, types.tuple())) })),
      ),
    );
    expect((await follow([chain]).view.snapshot()).servers).toHaveLength(1);
  });
});

describe('an honest endpoint next to endpoints that forge', () => {
  it('is read from the start, and its changes are followed', async () => {
    const [hostile, honest, other] = [await chainNode(), await chainNode(), await chainNode()];
    forge(hostile, tower);
    forge(other, '0x6d6574610e');
    // Further ahead, so that they are asked first.
    for (const chain of [hostile, other]) chain.newBlocks(3);
    const { view, log } = follow([hostile, honest, other]);
    expect((await view.snapshot()).servers).toHaveLength(1);
    for (const n of [2, 3, 4]) {
      register(honest, n);
      honest.newBlocks(2);
      await eventually(async () => ((await view.snapshot()).servers.length === n ? true : undefined));
    }
    const failures = log.filter(({ event }) => event === 'chain.decoder-failed');
    expect(failures.map(({ endpoint }) => endpoint)).toContain(hostile.url);
  });

  it('agrees with another honest one', async () => {
    const all = [await chainNode(), await chainNode(), await chainNode()];
    const [hostile, ...honest] = all;
    if (hostile === undefined) throw new Error('three nodes expected');
    forge(hostile, tower);
    const { view } = follow(all, 2);
    expect((await view.snapshot()).servers).toHaveLength(1);
    for (const chain of honest) {
      register(chain, 2);
      chain.newBlocks(2);
    }
    await eventually(async () => ((await view.snapshot()).servers.length === 2 ? true : undefined));
  });
});

describe('the decoder process of a view', () => {
  it('may be killed at any time: the next process decodes', async () => {
    const chain = await chainNode();
    const { view, log } = follow([chain]);
    let killed = 0;
    const killer = setInterval(() => {
      for (const pid of decoderChildren()) {
        if (killed >= 3) return;
        killed += 1;
        process.kill(pid, 'SIGKILL');
      }
    }, 300);
    try {
      expect((await view.snapshot()).servers).toHaveLength(1);
    } finally {
      clearInterval(killer);
    }
    expect(killed).toBeGreaterThan(0);
    expect(log.filter(({ event }) => event === 'chain.decoder-failed').length).toBeLessThanOrEqual(killed);
  });

  it('may hang: it is ended at its deadline, and the next process decodes', async () => {
    const chain = await chainNode();
    const { view, log } = follow([chain]);
    const [pid] = await eventually(() => (decoderChildren().length > 0 ? decoderChildren() : undefined));
    process.kill(pid ?? 0, 'SIGSTOP');
    await eventually(() => log.find(({ event }) => event === 'chain.decoder-failed'));
    expect((await view.snapshot()).servers).toHaveLength(1);
  });

  it('has ended after its answer, and after the view is closed', async () => {
    const chain = await chainNode();
    const { view } = follow([chain]);
    await view.snapshot();
    await eventually(() => (decoderChildren().length === 0 ? true : undefined));
    forge(chain, tower);
    const second = follow([chain]);
    await eventually(() => (decoderChildren().length > 0 ? true : undefined));
    await eventually(() => (second.log.length > 0 ? true : undefined));
    await second.view[Symbol.asyncDispose]();
    expect(decoderChildren()).toEqual([]);
  });
});
