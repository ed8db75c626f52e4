import type { OpenNode } from '../../boot/node/open-node.ts';
import { toHex } from '../../bytes/hex.ts';
import type { Config } from '../../config/schema.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import type { ReplicaStore } from '../../ring/replication/entry.ts';
import { secretFormat } from '../../secrets/secret-format.ts';
import { provenPlatform } from '../../trust/registered-platform.ts';
import type { GuardianRooms } from '../build-guardian.ts';
import type { ChainWatch } from '../chain-watch.ts';
import type { NodeParts } from '../parts.ts';
import type { Serving } from '../serving.ts';
import { RingMembership } from './ring-membership.ts';

/** The refusal of a node without a ring. */
export const ringIsOff = (): RefusalError =>
  new RefusalError('RING_OFF', 'this node takes part in no ring', {
    expected: 'trust.ring in its configuration',
  });

/**
 * The membership of an open node, which holds its account; `undefined` where its trust section has no ring.
 * @throws what the store throws; EvidenceError when its memory of the ring is damaged.
 */
export async function openMembership(
  { trust: { ring: constants }, ring: bounds }: Config,
  parts: NodeParts,
  surroundings: Pick<GuardianRooms, 'vetter' | 'evidenceVerifier'> &
    Pick<Serving, 'attestation' | 'drain'> & {
      readonly node: OpenNode;
      readonly watch: ChainWatch;
      readonly isOlderDisk: boolean;
      readonly wrapStore: (store: ReplicaStore) => ReplicaStore;
    },
): Promise<RingMembership | undefined> {
  if (constants === undefined) return undefined;
  const { verifier } = parts;
  return await RingMembership.open({
    ...parts,
    ...surroundings,
    fetch: parts.fetch ?? ((url, init) => fetch(url, init)),
    constants,
    bounds,
    format: secretFormat,
    provenPlatform: (record, atMs) => {
      const ppid = provenPlatform(record, verifier, atMs);
      return ppid === undefined ? undefined : toHex(ppid);
    },
  });
}
