import { afterEach, describe, expect, it, vi } from 'vitest';
import { FencedStore } from '../../src/boot/node/fenced-store.ts';
import { RollbackCheck } from '../../src/boot/node/rollback-check.ts';
import { ServerVetter } from '../../src/boot/obtain/vet-server.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { formedNetwork, restart } from '../support/formed-network.ts';
import { runSchedule } from '../support/simulated-network-schedule.ts';

const broken = vi.hoisted(() => ({ acceptsEverySection: false }));

vi.mock('../../src/trust/trust-hash.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/trust/trust-hash.ts')>();
  const judgeTrustHash: typeof original.judgeTrustHash = (...asked) => {
    if (!broken.acceptsEverySection) original.judgeTrustHash(...asked);
  };
  return { ...original, judgeTrustHash };
});

/** A fault of the node that the invariants must notice. */
interface Control {
  readonly fault: string;
  readonly breakNode: () => void;
  /** The violation that shows it. */
  readonly noticed: RegExp;
  /** The first seed from 1 on that shows it. */
  readonly seed: number;
}

const controls: readonly Control[] = [
  {
    fault: 'an instance that a newer one has overtaken goes on writing',
    breakNode: () => {
      vi.spyOn(FencedStore.prototype, 'fence').mockImplementation(() => undefined);
    },
    noticed: /writes, though .* knows of .*, which writes/,
    seed: 2,
  },
  {
    fault: 'a store that is older than the newest head opens',
    breakNode: () => {
      const { judge } = RollbackCheck.prototype;
      vi.spyOn(RollbackCheck.prototype, 'judge').mockImplementation(async function (
        this: RollbackCheck,
        found,
      ) {
        await judge.call(this, found).catch(() => undefined);
      });
      vi.spyOn(RollbackCheck.prototype, 'note').mockImplementation(() => undefined);
      vi.spyOn(RollbackCheck.prototype, 'requireCurrent').mockImplementation(() => undefined);
    },
    noticed: /writes on a store that lacks write/,
    seed: 1,
  },
  {
    fault: 'a recovery believes servers that prove no machine',
    breakNode: () => {
      vi.spyOn(ServerVetter.prototype, 'platformOf').mockImplementation(({ account }) =>
        toHex(account.subarray(0, 16)),
      );
      vi.spyOn(ServerVetter.prototype, 'vet').mockResolvedValue(undefined);
    },
    noticed: /opened a store that the host made/,
    seed: 2,
  },
  {
    fault: 'servers give keys to machines under another trust section',
    breakNode: () => {
      broken.acceptsEverySection = true;
    },
    noticed: /a key left for .* without a genuine quote/,
    seed: 6,
  },
];

/** At most this number of lives passes until a fault is noticed; the first one shows it as long as the schedule stays as it is. */
const MAX_LIVES = 12;

describe('the invariants notice faults that are put in on purpose', () => {
  afterEach(() => {
    vi.restoreAllMocks();
    broken.acceptsEverySection = false;
  });

  it.each(controls)('$fault', { timeout: 300_000 }, async ({ breakNode, noticed, seed }) => {
    breakNode();
    const found: string[] = [];
    for (let life = seed; life < seed + MAX_LIVES && !found.some((text) => noticed.test(text)); life++)
      found.push(...(await runSchedule(life)).violations);
    expect(found).toContainEqual(expect.stringMatching(noticed));
  });
});

describe('a locked store whose folder changes', () => {
  it('is noticed, but not what the opening of a moment does to it', { timeout: 120_000 }, async () => {
    const { net, node } = await formedNetwork(941, 5);
    const lock = async (): Promise<void> => {
      for (const { endpoint } of net.nodes) net.world.wire.cut.add(`${node.name}>${endpoint}`);
      await restart(net, node);
      await net.settle(5_000);
      expect(node.state.name).toBe('locked');
      net.check();
    };
    await lock();
    net.world.wire.cut.clear();
    await net.settle(60_000);
    await lock();
    expect(net.world.violations).toEqual([]);
    node.disk.tamper('/data/node/store/segment-0000000001', new Uint8Array(96));
    net.check();
    expect(net.world.violations).toEqual([`${node.name} changed its disk while it was locked`]);
    await net.close();
  });
});
