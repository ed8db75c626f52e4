import { createIdentity } from '../../src/boot/node/identity.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { buildGeneration, firstFile } from '../../src/keyslots/generations.ts';
import { encodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import type { Quorum } from '../../src/keyslots/threshold.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import type { HostMadeServer } from './host-made-server.ts';
import { aLineageSecret, firstIncarnation } from './lineages.ts';
import { KEYSLOTS } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

export const TWO_OF_TWO: Quorum = { t: 2, n: 2 };

/**
 * Gives a machine, whose disk must be empty, a disk with a store that the host made: the host knows its key and its
 * identity. Returns the id of the store, 16 bytes.
 */
export async function hostMadeDisk(
  victim: SimulatedNode,
  servers: readonly HostMadeServer[],
): Promise<Uint8Array> {
  const storeKey = new SecretBytes(victim.random(32));
  const { disk, random } = victim;
  for (const path of ['/data', '/data/node']) await disk.mkdir(path);
  const store = await SealedStore.create({ fileSystem: disk, path: '/data/node/store', storeKey, random });
  const { account } = await createIdentity(store, random, firstIncarnation);
  await store.close();
  const identity = { account, storeId: store.storeId };
  const enrolled = servers.map(({ slot }) => slot);
  const generation = await buildGeneration(
    { ...identity, storeKey, lineageSecret: aLineageSecret(), generation: 1, quorum: TWO_OF_TWO, enrolled },
    random,
  );
  disk.tamper(KEYSLOTS, encodeKeyslotFile(firstFile(identity, generation)));
  return store.storeId;
}
