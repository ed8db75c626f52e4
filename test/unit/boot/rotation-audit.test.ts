import { expect, it } from 'vitest';
import { askAgent } from '../../support/ask-agent.ts';
import { type LoneNode, loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

it('a change of the store key with an unknown outcome is in the audit log after the next start, and only once', {
  timeout: 600_000,
}, async () => {
  const net = new SimulatedNetwork(72);
  await net.form(5);
  const { clock } = net.world;
  const start = async (disk: SimulatedDisk, number: number): Promise<LoneNode> => {
    const lone = await loneNode(net.world, { disk, start: number });
    await lone.node.start();
    for (let waited = 0; lone.node.state.name !== 'backed'; waited += 250) {
      if (waited > 300_000) throw new Error('it never came');
      await clock.advance(250);
    }
    return lone;
  };
  const changes = async (lone: LoneNode): Promise<readonly unknown[]> => {
    const found: unknown[] = [];
    const namespace = await lone.node.open?.store.namespace('latchkey/audit');
    for await (const [, value] of namespace?.entries({ prefix: 'entry/' }) ?? []) {
      // After the hash of 32 bytes.
      const { event, fields } = JSON.parse(new TextDecoder().decode(value.subarray(32)));
      if (event === 'store-key.changed') found.push(fields);
    }
    return found;
  };
  const rotate = async (lone: LoneNode): Promise<string> => {
    const socketPath = lone.node.addresses.agent.slice('unix:'.length);
    await askAgent(socketPath, 'PUT', '/rotation');
    for (let waited = 0; waited < 300_000; waited += 250) {
      await clock.advance(250);
      const { state } = (await askAgent(socketPath, 'GET', '/rotation'))?.json ?? {};
      if (state !== 'running') return String(state);
    }
    throw new Error('it did not end');
  };
  const cut = await start(new SimulatedDisk(), 1);
  let isChanged = false;
  cut.disk.inject(({ kind, path, step }) => {
    // The new key is in force with the rename; nothing after it reaches the disk.
    if (kind === 'rename' && path.endsWith('/store/MANIFEST')) {
      isChanged = true;
      cut.disk.cutAt(step + 1);
    }
    return undefined;
  });
  expect(await rotate(cut)).toBe('failed');
  expect(isChanged).toBe(true);
  const after = cut.disk.afterPowerCut('kept', 1);
  await Promise.resolve(cut[Symbol.asyncDispose]()).catch(() => undefined);
  await clock.advance(30_000);
  const again = await start(after, 2);
  await clock.advance(5_000);
  expect(await changes(again)).toEqual([{ generation: expect.any(Number), isFoundAtStart: true }]);
  expect(await rotate(again)).toBe('done');
  await clock.advance(5_000);
  const both = [
    { generation: expect.any(Number), isFoundAtStart: true },
    { generation: expect.any(Number), isFoundAtStart: false },
  ];
  expect(await changes(again)).toEqual(both);
  const kept = again.disk.afterKill();
  await again[Symbol.asyncDispose]();
  const third = await start(kept, 3);
  await clock.advance(5_000);
  expect(await changes(third)).toEqual(both);
  await third[Symbol.asyncDispose]();
  await net.close();
});
