import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { splitSecret } from '../../../src/crypto/shamir.ts';
import { encodeKeyslotFile } from '../../../src/keyslots/keyslot-codec.ts';
import type { Generation, KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import { sealSlot } from '../../../src/keyslots/slot-seal.ts';
import { endNetwork, formedNetwork, restart } from '../../support/formed-network.ts';
import { folderDigest, KEYSLOTS, type SimulatedNetwork } from '../../support/simulated-network.ts';
import type { SimulatedNode } from '../../support/simulated-network-node.ts';
import { fileOf, machinesOf } from '../../support/slot-picture.ts';

const LONG = { timeout: 60_000 };
/** t − 1 of t = 3. */
const COLLUDERS = 2;
let net: SimulatedNetwork;
let node: SimulatedNode;

beforeAll(async () => {
  ({ net, node } = await formedNetwork(851));
}, 60_000);
afterAll(() => endNetwork(net));

const keyOf = ({ open }: SimulatedNode): string => toHex(open?.storeKey.reveal() ?? new Uint8Array(0));
const namedLiars = ({ events }: SimulatedNode): string[] =>
  events
    .filter(({ fields }) => String(fields['reason']).startsWith('server lied'))
    .map(({ fields }) => String(fields['server']));

/** The file after colluding servers told the host their keys, and it put shares of its own secret into their slots. */
async function resealed(file: KeyslotFile, count: number): Promise<KeyslotFile> {
  const [generation] = file.generations;
  const { t, n } = generation;
  const shares = await splitSecret(systemRandom(32), t, n);
  const servers = machinesOf(net, generation);
  const slots = generation.slots.map((slot, at) => {
    const key = servers[at]?.memory?.find(file.account, slot.slotId, net.world.clock.nowMs())?.key;
    const share = shares[at];
    if (at >= count || key === undefined || share === undefined) return slot;
    const { account, storeId } = file;
    const { index, server, keyId } = slot;
    const binding = { account, storeId, generation: generation.generation, t, n, index, server, keyId };
    return { ...slot, sealed: sealSlot(key, binding, share, systemRandom) };
  });
  const changed: Generation = { ...generation, slots };
  return { ...file, generations: [changed] };
}

describe('t − 1 servers that collude', () => {
  it('and give wrong keys: the node opens with the others, and names them', LONG, async () => {
    const key = keyOf(node);
    const file = await fileOf(node);
    const colluders = machinesOf(net, file.generations[0]).slice(0, COLLUDERS);
    for (const server of colluders) server.startLying();
    await restart(net, node);
    await net.settle(15_000);
    expect(keyOf(node)).toBe(key);
    const names = colluders.map(({ open }) => encodeSs58(open?.identity.account ?? new Uint8Array(32)));
    expect(new Set(namedLiars(node))).toEqual(new Set(names));
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
  });

  it(
    'with the host, which re-seals their slots: the store stays closed and unchanged, and opens with the real file',
    LONG,
    async () => {
      const key = keyOf(node);
      const file = await fileOf(node);
      await net.world.clock.until(node.kill());
      const colluding = encodeKeyslotFile(await resealed(file, COLLUDERS));
      const before = node.disk.files().get(KEYSLOTS);
      node.disk.tamper(KEYSLOTS, colluding);
      const digest = folderDigest(node);
      // The honest ones are held back one after another, so that the colluders' shares are in every subset.
      for (const silent of machinesOf(net, file.generations[0]).slice(COLLUDERS)) {
        net.world.wire.misbehaviour.set(silent.endpoint, 'hang');
        node.start();
        await net.settle(15_000);
        expect(node.state.name).toBe('locked');
        expect(folderDigest(node)).toBe(digest);
        await net.world.clock.until(node.stop());
        net.world.wire.misbehaviour.clear();
      }
      node.disk.tamper(KEYSLOTS, before);
      node.start();
      await net.settle(15_000);
      expect(keyOf(node)).toBe(key);
    },
  );
});
