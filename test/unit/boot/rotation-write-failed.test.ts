import { expect, it } from 'vitest';
import { explain } from '../../../src/boot/node/node-state.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';

async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
    return 'none';
  } catch (error) {
    return error instanceof LatchkeyError ? error.code : String(error);
  }
}

it('a rotation with a failed folder sync keeps both generations until the next start, which opens the store', {
  timeout: 600_000,
}, async () => {
  const net = new SimulatedNetwork(912);
  await net.form(5);
  const { clock } = net.world;
  const until = async (condition: () => boolean): Promise<void> => {
    for (let waited = 0; !condition(); waited += 250) {
      if (waited > 300_000) throw new Error('the state did not come');
      await clock.advance(250);
    }
  };
  const disk = new SimulatedDisk();
  const generations = async () =>
    (await new KeyslotDisk(disk, KEYSLOTS).read()).generations.map(({ generation }) => generation);
  const lone = await loneNode(net.world, { disk, start: 1 });
  await lone.node.start();
  await until(() => lone.node.state.name === 'backed');
  let isRenamed = false;
  let failed = 0;
  disk.inject(({ kind, path }) => {
    if (kind === 'rename' && path.endsWith('/store/MANIFEST')) isRenamed = true;
    if (!isRenamed || failed > 0 || kind !== 'syncDirectory' || path !== '/data/node/store') return undefined;
    failed++;
    return { code: 'EIO' };
  });
  expect(await codeOf(() => clock.until(lone.node.rotateStoreKey()))).toBe('STORE_WRITE_FAILED');
  expect(failed).toBe(1);
  const both = await generations();
  expect(both).toHaveLength(2);
  expect(lone.node.state).toMatchObject({ name: 'fenced', cause: 'key-unknown' });
  expect(explain(lone.node.state)).toContain('restart the machine');
  // A second rotation would write a keyslot file too.
  expect(await codeOf(() => clock.until(lone.node.rotateStoreKey()))).toBe('ROTATION_NOT_BACKED');
  const space = lone.node.open?.store;
  expect(await codeOf(async () => (await space?.namespace('test'))?.put('x', new Uint8Array(1)))).toBe(
    'NODE_FENCED',
  );

  // A server of a slot restarts while the process still runs: healing would make a generation of the former key.
  const server = lone.node.open?.book.slots()[0]?.slot.server ?? new Uint8Array();
  const machine = net.nodes.find(
    ({ keyServer }) => keyServer !== undefined && toHex(keyServer.identity.account) === toHex(server),
  );
  if (machine === undefined) throw new Error('no machine runs this server');
  await machine.kill();
  machine.start();
  await net.settle(60_000);
  expect(await generations()).toEqual(both);
  expect(lone.node.state.name).toBe('fenced');
  await lone.node.close().catch(() => undefined);

  const again = await loneNode(net.world, { disk: disk.afterKill(), start: 2 });
  await again.node.start();
  await until(() => again.node.state.name === 'backed');
  await again[Symbol.asyncDispose]();
  await net.close();
});
