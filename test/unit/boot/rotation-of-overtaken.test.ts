import { expect, it } from 'vitest';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

/** When the newer instance starts: before the rotation, or while its new slots are enrolled. */
const starts = ['before the rotation', 'during the rotation'] as const;

it.each(starts)(
  'an instance that was overtaken %s does not change the store key, and stops writing',
  { timeout: 600_000 },
  async (start) => {
    const net = new SimulatedNetwork(55);
    await net.form(6);
    const { clock, config } = net.world;
    const until = async (condition: () => boolean): Promise<void> => {
      for (let waited = 0; !condition(); waited += 250) {
        if (waited > 300_000) throw new Error('the state did not come');
        await clock.advance(250);
      }
    };
    // The former instance looks at its slots so rarely that only the rotation can notice the newer one.
    const slow = { config: { healing: { ...config.healing, intervalMs: 3_600_000 } } };
    let quotes = 0;
    let overtake: (() => Promise<void>) | undefined;
    const former = await loneNode(net.world, {
      disk: new SimulatedDisk(),
      start: 1,
      beforeQuote: async () => {
        quotes++;
        await overtake?.();
      },
      ...slow,
    });
    await former.node.start();
    await until(() => former.node.state.name === 'backed');
    await clock.advance(5_000);
    const newer: LoneNode = await loneNode(net.world, { disk: former.disk.clone().afterKill(), start: 2 });
    let isStarted: Promise<void> | undefined;
    if (start === 'before the rotation') {
      await newer.node.start();
      await until(() => newer.node.state.name === 'backed');
    } else {
      overtake = async () => {
        isStarted ??= (async () => {
          await newer.node.start();
          for (let i = 0; i < 1_200 && newer.node.state.name !== 'backed'; i++) await clock.sleep(250);
        })();
        await isStarted;
      };
    }
    const quotesBefore = quotes;
    const storeKey = former.node.open?.storeKey;
    let code = 'rotated';
    await clock.until(former.node.rotateStoreKey()).catch((error: unknown) => {
      code = error instanceof LatchkeyError ? error.code : String(error);
    });
    expect(newer.node.state.name).toBe('backed');
    expect(code).toBe('NODE_FENCED');
    // No key server is asked for a slot when the newer instance is there already.
    if (start === 'before the rotation') expect(quotes).toBe(quotesBefore);
    expect(former.node.open?.storeKey).toBe(storeKey);
    await until(() => former.node.state.name === 'fenced');
    expect(former.node.state).toMatchObject({ cause: 'newer-instance' });

    const space = await newer.node.open?.store.namespace('test');
    await space?.put('x', new Uint8Array(1));
    await until(() => newer.node.state.name === 'backed');
    await former[Symbol.asyncDispose]();
    await newer[Symbol.asyncDispose]();
    await net.close();
  },
);
