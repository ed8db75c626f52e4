import { equalBytes } from '../../src/bytes/concat.ts';
import { KeyslotDisk } from '../../src/keyslots/keyslot-disk.ts';
import type { Generation, KeyslotFile } from '../../src/keyslots/keyslot-file.ts';
import { KEYSLOTS, type SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

/** The keyslot file on a machine's disk. */
export const fileOf = (node: SimulatedNode): Promise<KeyslotFile> =>
  new KeyslotDisk(node.disk, KEYSLOTS).read();

/** The machines that hold the slots of a generation, in the order of the file. */
export const machinesOf = (net: SimulatedNetwork, { slots }: Generation): SimulatedNode[] =>
  slots.flatMap(({ server }) =>
    net.nodes.filter(({ open }) => open !== undefined && equalBytes(open.identity.account, server)),
  );

/** Which slots of a generation still have their key at a running server. */
export const keptSlots = (net: SimulatedNetwork, file: KeyslotFile, { slots }: Generation): number =>
  slots.filter(({ slotId }) =>
    net.nodes.some(
      ({ keyServer }) => keyServer?.vault.find(file.account, slotId, net.world.clock.nowMs()) !== undefined,
    ),
  ).length;
