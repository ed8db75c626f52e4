import { expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import { loneNode } from '../../support/lone-node.ts';
import { KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';

it('a rotation that is cut after the key changed: the next start has the keys of the former slots erased', {
  timeout: 600_000,
}, async () => {
  const net = new SimulatedNetwork(67);
  await net.form(6);
  const { clock } = net.world;
  const until = async (condition: () => boolean): Promise<void> => {
    for (let waited = 0; !condition(); waited += 250) {
      if (waited > 300_000) throw new Error('the state did not come');
      await clock.advance(250);
    }
  };
  const held = (): readonly string[] =>
    net.nodes.flatMap(({ keyServer }) =>
      [...(keyServer?.vault.keys() ?? [])].map(({ slotId }) => toHex(slotId)),
    );
  const cut = await loneNode(net.world, { start: 1 });
  await cut.node.start();
  await until(() => cut.node.state.name === 'backed');
  const former = new Set(cut.node.open?.book.slots().map(({ slot }) => toHex(slot.slotId)));
  const formerHeld = () => held().filter((slotId) => former.has(slotId));
  const oldDisk = cut.disk.clone();
  let isChanged = false;
  cut.disk.inject(({ kind, path, step }) => {
    if (kind === 'rename' && path.endsWith('/store/MANIFEST')) isChanged = true;
    if (isChanged && path.endsWith('keyslots.new')) {
      cut.disk.cutAt(step);
      // The process is dead from here on: no request of it reaches a server.
      for (const { endpoint } of net.nodes) net.world.wire.cut.add(`lone>${endpoint}`);
    }
    return undefined;
  });
  await clock.until(cut.node.rotateStoreKey()).catch(() => undefined);
  const after = cut.disk.afterPowerCut('kept', 1);
  await cut.node.close().catch(() => undefined);
  // What the dead process still had to send ends here.
  await clock.advance(30_000);
  net.world.wire.cut.clear();
  expect(isChanged).toBe(true);
  expect((await new KeyslotDisk(after, KEYSLOTS).read()).generations).toHaveLength(2);
  expect(formerHeld()).toHaveLength(former.size);

  const again = await loneNode(net.world, { disk: after, start: 3 });
  await again.node.start();
  await until(() => again.node.state.name === 'backed' && formerHeld().length === 0);
  const present = again.node.open?.book.slots().map(({ slot }) => toHex(slot.slotId)) ?? [];
  expect(present.length).toBeGreaterThan(0);
  // Its own slots are all there.
  expect(held()).toEqual(expect.arrayContaining(present));
  await again.node.close();

  // The host's copy from before the rotation opens no more.
  const copy = await loneNode(net.world, { disk: oldDisk, start: 4 });
  await copy.node.start();
  await until(() => copy.node.state.name === 'locked');
  await clock.advance(30_000);
  expect(copy.node.open).toBeUndefined();
  await again[Symbol.asyncDispose]();
  await copy[Symbol.asyncDispose]();
  // Its disk is cut off, so that closing may fail.
  await Promise.resolve(cut[Symbol.asyncDispose]()).catch(() => undefined);
  await net.close();
});
