import { afterEach, describe, expect, it } from 'vitest';
import {
  type DevelopmentChain,
  type DevelopmentChainOptions,
  startDevelopmentChain,
} from '../../devnet/chain/development-chain.ts';
import { BlockHash } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import type { ChainLogEvent } from '../../src/chain/chain-log-event.ts';
import type { ChainSnapshot, ChainView } from '../../src/chain/chain-view.ts';
import {
  type ConnectChainOptions,
  connectChain,
  PolkadotChainView,
} from '../../src/chain/polkadot-chain-view.ts';
import { mapKey, storageItems } from '../../src/chain/storage-keys.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import { accountOf, eventually, quickOptions, register } from '../support/chain-fixtures.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

async function chainWith(servers: number, options: DevelopmentChainOptions = {}): Promise<DevelopmentChain> {
  const chain = await startDevelopmentChain({ blockTimeMs: 0, finalityLag: 1, ...options });
  open.push(chain);
  for (let n = 1; n <= servers; n += 1) register(chain, n);
  chain.newBlocks(2);
  return chain;
}

async function connect(chain: DevelopmentChain, options: Partial<ConnectChainOptions> = {}) {
  const log: ChainLogEvent[] = [];
  const view = await connectChain({
    ...quickOptions(chain.url),
    log: (event) => log.push(event),
    ...options,
  });
  open.push(view);
  return { view, log };
}

const accountsOf = ({ servers }: ChainSnapshot): (number | undefined)[] =>
  servers.map(({ account }) => account[0]);

/** Waits for a snapshot that satisfies the condition. */
const snapshotWhere = (
  view: ChainView,
  holds: (snapshot: ChainSnapshot) => boolean,
): Promise<ChainSnapshot> =>
  eventually(async () => {
    const snapshot = await view.snapshot();
    return holds(snapshot) ? snapshot : undefined;
  });

describe('the state that a view reads', () => {
  it('is finalized: a change in a best block, or in a block that was reverted, is not visible', async () => {
    const chain = await chainWith(1, { finalityLag: 3 });
    chain.newBlocks(3);
    const { view } = await connect(chain);
    const seen: (number | undefined)[] = [];
    view.subscribe((snapshot) => seen.push(...accountsOf(snapshot)));
    register(chain, 66);
    chain.newBlocks(2);
    chain.reorganize(2);
    register(chain, 2);
    chain.newBlocks(6);
    const { block } = await snapshotWhere(view, (snapshot) => accountsOf(snapshot).includes(2));
    expect(seen).not.toContain(66);
    expect(accountsOf(await view.snapshot())).toEqual([1, 2]);
    expect(block.number).toBeLessThanOrEqual(chain.finalized().number);
  });

  it('has the time of its block', async () => {
    const chain = await chainWith(1, { now: () => 1_790_000_000_123 });
    const { view } = await connect(chain);
    expect((await view.snapshot()).block.timestampMs).toBe(1_790_000_000_123);
  });

  it('joins the active set and the signers by stash', async () => {
    const chain = await chainWith(3);
    chain.setActive(accountOf(0x81), false);
    chain.setSigners([accountOf(0x82), accountOf(0xee)]);
    chain.newBlocks(2);
    const { view } = await connect(chain);
    const { servers } = await view.snapshot();
    expect(servers.map(({ active, signer }) => [active, signer])).toEqual([
      [false, false],
      [true, true],
      [true, false],
    ]);
  });

  it('one malformed record hides no other record', async () => {
    const chain = await chainWith(3);
    const keyOf = (n: number): string => mapKey(storageItems.thresholdServers, accountOf(n));
    chain.setStorage([
      [keyOf(0xc1), '0x00'],
      [keyOf(0xc2), `0x${'11'.repeat(32)}${'22'.repeat(32)}0c7a7a7a00ff`],
      [keyOf(0xc3), '0x'],
      // The right value, but the hash in the key is of another account.
      [`${keyOf(0xc4).slice(0, -2)}00`, `0x${'11'.repeat(64)}0000`],
    ]);
    chain.registerServer({ ...snapshotServer(9), endpoint: 'http://10.0.0.1:80/x?' });
    chain.newBlocks(2);
    const { view } = await connect(chain);
    const snapshot = await view.snapshot();
    expect(accountsOf(snapshot)).toEqual([1, 2, 3]);
    expect(snapshot.undecodableRecords).toBe(5);
  });

  it('two stashes with the same account give one server: the active one', async () => {
    const chain = await chainWith(1);
    register(chain, 1, { stash: accountOf(0x10), endpoint: 'thief.example:1', active: false });
    chain.newBlocks(2);
    const { view } = await connect(chain);
    const snapshot = await view.snapshot();
    expect(snapshot.servers.map(({ endpoint }) => endpoint)).toEqual(['127.0.0.1:3001']);
    expect(snapshot.undecodableRecords).toBe(1);
  });

  it('can consist of several pages of keys and values', async () => {
    const chain = await chainWith(0);
    for (let n = 0; n < 300; n += 1) {
      const bytes = new Uint8Array(32).fill(7);
      bytes.set([n >> 8, n & 0xff]);
      const account = accountOf(1);
      account.set(bytes);
      chain.registerServer({ ...snapshotServer(1), stash: account, account, quote: new Uint8Array(10) });
    }
    chain.newBlocks(2);
    const { view } = await connect(chain);
    expect((await view.snapshot()).servers).toHaveLength(300);
  });
});

function snapshotServer(n: number): Parameters<DevelopmentChain['registerServer']>[0] {
  return {
    stash: accountOf(0x80 + n),
    account: accountOf(n),
    x25519PublicKey: accountOf(n) as never,
    endpoint: '127.0.0.1:1',
    quote: new Uint8Array(4),
  };
}

/** The system's clock, but pauses of these lengths end when the test says so. */
class StoppedPauses implements Clock {
  readonly #lengthsMs: readonly number[];
  readonly #ends: (() => void)[] = [];

  constructor(...lengthsMs: readonly number[]) {
    this.#lengthsMs = lengthsMs;
  }

  nowMs(): number {
    return Date.now();
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (!this.#lengthsMs.includes(milliseconds)) return systemClock.sleep(milliseconds, signal);
    return new Promise((resolve) => this.#ends.push(resolve));
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) end();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('connections', () => {
  it('a cut connection is made again, and the changes since then are read', async () => {
    const chain = await chainWith(1);
    const { view, log } = await connect(chain);
    for (const n of [2, 3, 4]) {
      expect(chain.dropConnections()).toBe(1);
      register(chain, n);
      chain.newBlocks(2);
      await snapshotWhere(view, (snapshot) => accountsOf(snapshot).includes(n));
    }
    // Further ones in the same minute are not logged.
    const lines = log.filter(({ event }) => event === 'chain.connected' || event === 'chain.disconnected');
    expect(lines.map(({ event }) => event)).toEqual(['chain.connected', 'chain.disconnected']);
  });

  it('a silent connection is replaced by the watchdog', async () => {
    const chain = await chainWith(1);
    const { view, log } = await connect(chain, { watchdogMs: 300, connectDeadlineMs: 300 });
    chain.setSilent(true);
    await eventually(() => log.find(({ event }) => event === 'chain.disconnected'));
    register(chain, 2);
    chain.newBlocks(2);
    chain.setSilent(false);
    await snapshotWhere(view, (snapshot) => accountsOf(snapshot).includes(2));
  });

  it('a connection to a closed port or a silent server fails in time and leaves no handle open', async () => {
    const chain = await chainWith(1);
    chain.setSilent(true);
    const options = {
      ...quickOptions(chain.url),
      deadlineMs: 300,
      connectDeadlineMs: 100,
      requestDeadlineMs: 100,
    };
    await expect(connectChain(options)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    await chain.close();
    await expect(connectChain(options)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
  });

  it('without a connection the last snapshot becomes too old', async () => {
    const chain = await chainWith(1);
    const [deadlineMs, maxSnapshotAgeMs] = [45_001, 5000];
    const clock = new StoppedPauses(deadlineMs, maxSnapshotAgeMs);
    const { view } = await connect(chain, { clock, deadlineMs, maxSnapshotAgeMs });
    await chain.close();
    expect(accountsOf(await view.snapshot())).toEqual([1]);
    await clock.end();
    const late = view.snapshot();
    late.catch(() => undefined);
    await clock.end();
    await expect(late).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
  });
});

describe('another chain', () => {
  it('another chain than the configured one is refused', async () => {
    const chain = await chainWith(1);
    const genesisHash = BlockHash.of(new Uint8Array(32).fill(1));
    await expect(
      connectChain({ ...quickOptions(chain.url), genesisHash, deadlineMs: 300 }),
    ).rejects.toMatchObject({ code: 'CHAIN_GENESIS_MISMATCH', observed: chain.genesisHash });
  });

  it('another chain on the same URL after a reconnect is not read; the right chain is read when it is back', async () => {
    const first = await chainWith(1);
    const port = Number(new URL(first.url).port);
    const { view, log } = await connect(first);
    const { genesisHash } = await view.snapshot();
    await first.close();
    const second = await startDevelopmentChain({ port, blockTimeMs: 0, finalityLag: 1 });
    open.push(second);
    register(second, 66);
    second.newBlocks(5);
    await eventually(() => log.find(({ code }) => code === 'CHAIN_GENESIS_MISMATCH'));
    expect(accountsOf(await view.snapshot())).toEqual([1]);
    expect(toPrefixedHex(genesisHash)).toBe(first.genesisHash);
  });

  it('a chain with the same genesis but other finalized blocks is refused', async () => {
    const genesisSeed = new Uint8Array(16).fill(5);
    const first = await chainWith(1, { genesisSeed });
    const port = Number(new URL(first.url).port);
    const { view, log } = await connect(first);
    await first.close();
    const second = await startDevelopmentChain({ port, blockTimeMs: 0, finalityLag: 1, genesisSeed });
    open.push(second);
    register(second, 66);
    second.newBlocks(9);
    expect(second.genesisHash).toBe(first.genesisHash);
    await eventually(() => log.find(({ code }) => code === 'CHAIN_DISAGREEMENT'));
    expect(accountsOf(await view.snapshot())).toEqual([1]);
  });

  it('a chain that was rolled back to fewer blocks does not replace the snapshot by an older one', async () => {
    const genesisSeed = new Uint8Array(16).fill(6);
    const first = await chainWith(1, { genesisSeed });
    first.newBlocks(9);
    const port = Number(new URL(first.url).port);
    const { view, log } = await connect(first);
    const before = await view.snapshot();
    await first.close();
    const second = await startDevelopmentChain({ port, blockTimeMs: 0, finalityLag: 1, genesisSeed });
    open.push(second);
    second.newBlocks(3);
    await eventually(() =>
      log.find(({ event, code }) => event === 'chain.read-failed' && code !== undefined),
    );
    expect((await view.snapshot()).block).toEqual(before.block);
  });
});

/** Follows a chain until the first read or connection has failed; the test falsifies the chain's answers. */
async function firstFailure(
  chain: DevelopmentChain,
): Promise<{ code: string | undefined; events: string[] }> {
  const log: ChainLogEvent[] = [];
  const view = new PolkadotChainView({ ...quickOptions(chain.url), log: (event) => log.push(event) });
  open.push(view);
  const { code } = await eventually(() => log.find((event) => event.code !== undefined));
  return { code, events: log.map(({ event }) => event) };
}

describe('an endpoint that lies', () => {
  const key = storageItems.thresholdServers.prefix;
  const lies: readonly [name: string, method: string, lie: (honest: unknown) => unknown][] = [
    [
      'a header that does not hash to its hash',
      'chain_getHeader',
      (honest) => ({ ...(honest as object), stateRoot: `0x${'00'.repeat(32)}` }),
    ],
    [
      'the header of another block',
      'chain_getHeader',
      (honest) => ({ ...(honest as object), number: '0x7' }),
    ],
    ['no header', 'chain_getHeader', () => null],
    [
      'keys that repeat without end',
      'state_getKeysPaged',
      () => Array.from({ length: 256 }, () => `${key}00`),
    ],
    ['keys of another item', 'state_getKeysPaged', () => [storageItems.validators.prefix]],
    ['keys that are no text', 'state_getKeysPaged', () => [7]],
    ['a key that has no value', 'state_getKeysPaged', () => [`${key}00`]],
    ['storage of another block', 'state_queryStorageAt', () => [{ block: '0x00', changes: [] }]],
    [
      'values left out',
      'state_queryStorageAt',
      (honest) =>
        (honest as { changes: unknown[] }[]).map((set) => ({ ...set, changes: set.changes.slice(1) })),
    ],
    ['nothing', 'state_queryStorageAt', () => null],
    ['a hash of one byte', 'chain_getBlockHash', () => '0x00'],
    ['metadata that is none', 'state_call state_getMetadata', () => '0x0104ff'],
  ];

  it.each(lies)('an answer with %s is refused', async (_name, method, lie) => {
    const chain = await chainWith(1);
    chain.setTamper((name, _params, honest) => (method.split(' ').includes(name) ? lie(honest) : honest));
    const { code, events } = await firstFailure(chain);
    expect(code).toBe('CHAIN_UNAVAILABLE');
    expect(events).not.toContain('chain.snapshot');
  });

  it('a malformed list of validators fails the whole read; it does not become an empty active set', async () => {
    const chain = await chainWith(1);
    chain.setStorage([[storageItems.validators.prefix, '0x0411']]);
    chain.newBlocks(2);
    expect((await firstFailure(chain)).code).toBe('CHAIN_SHAPE_UNKNOWN');
  });
});
