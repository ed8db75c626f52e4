import { expect, it } from 'vitest';
import { KeyslotDisk } from '../../../src/keyslots/keyslot-disk.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { KEYSLOTS, SimulatedNetwork } from '../../support/simulated-network.ts';

const partSizes = { 'parts of 7 bytes': 7, 'one part': Number.POSITIVE_INFINITY };

it.each(Object.entries(partSizes))(
  'a rotation that was cut before the key changed, then a lost store: the backup restores (%s)',
  { timeout: 600_000 },
  async (_title, partBytes) => {
    const net = new SimulatedNetwork(66);
    await net.form(6);
    const { clock } = net.world;
    const lost = await loneNode(net.world, { start: 1 });
    await lost.node.start();
    for (let i = 0; i < 1_200 && lost.node.state.name !== 'backed'; i++) await clock.advance(250);
    const written: Uint8Array[] = [];
    await lost.node.open?.store.backup(async (bytes) => void written.push(bytes.slice()));
    const backup = new Uint8Array(Buffer.concat(written));
    lost.disk.inject(({ path, step }) => {
      if (path.endsWith('MANIFEST.new')) lost.disk.cutAt(step);
      return undefined;
    });
    await clock.until(lost.node.rotateStoreKey()).catch(() => undefined);
    const after = lost.disk.afterPowerCut('kept', 1);
    await lost.node.close().catch(() => undefined);
    expect((await new KeyslotDisk(after, KEYSLOTS).read()).generations).toHaveLength(2);

    const disk = new SimulatedDisk();
    for (const path of ['/data', '/data/node']) await disk.mkdir(path);
    disk.tamper(KEYSLOTS, after.files().get(KEYSLOTS));
    const restored = await loneNode(net.world, { disk, start: 2 });
    async function* source(): AsyncGenerator<Uint8Array> {
      const step = Math.min(partBytes, backup.length);
      // Each part is in the memory of the one before, as of a file that is read through one buffer.
      const buffer = Buffer.alloc(step);
      for (let at = 0; at < backup.length; at += step) {
        buffer.set(backup.subarray(at, at + step));
        yield buffer.subarray(0, Math.min(step, backup.length - at));
      }
    }
    const outcome = await clock.until(restored.node.restoreOnce({ source: source(), attempts: 3 }));
    // The attempt wrote that the lineage is to be closed, and the servers were told of that record.
    expect(outcome).toMatchObject({ keyslots: 'in-place', isOlder: true });
    await restored[Symbol.asyncDispose]();

    const again = await loneNode(net.world, { disk, start: 3, acceptRolledBackStore: true });
    await again.node.start();
    for (let i = 0; i < 1_200 && again.node.state.name !== 'backed'; i++) await clock.advance(250);
    expect(again.node.state.name).toBe('backed');
    await again[Symbol.asyncDispose]();
    await net.close();
  },
);
