import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId, RecordId } from '../../bytes/fixed-bytes.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import type { RingNode } from '../../ring/replication/ring-node.ts';
import type { SignatureCheck } from '../remember-signatures.ts';
import { decodeEntry, type SecretEntry } from '../value.ts';

/** What the routes need of this node's place in the ring. */
export type SecretRing = Pick<RingNode, 'write' | 'read' | 'mark' | 'view'>;

/**
 * Requires that this node holds an id: only holders see a secret.
 * @throws RefusalError SECRET_NOT_HOLDER.
 */
export function requireHolder(ring: SecretRing, account: AccountId, id: RecordId): void {
  const holders = ring.view.placement.replicasOf(id);
  if (holders.some((holder) => equalBytes(holder.account, account))) return;
  throw new RefusalError('SECRET_NOT_HOLDER', 'this node does not hold that secret', {
    hint: 'ask the node nearest to the id of the secret',
  });
}

/**
 * Requires that this node is the nearest one, which alone counts.
 * @throws RefusalError SECRET_NOT_HOLDER.
 */
export function requireNearest(ring: SecretRing, account: AccountId, id: RecordId): void {
  const [nearest] = ring.view.placement.replicasOf(id);
  if (nearest !== undefined && equalBytes(nearest.account, account)) return;
  throw new RefusalError('SECRET_NOT_HOLDER', 'only the nearest node uses a secret with a limit', {
    hint: 'ask the node nearest to the id of the secret',
  });
}

/** The newest acknowledged entry of an id; the caller wipes its value. */
export async function readEntry(
  ring: SecretRing,
  id: RecordId,
  isSigned: SignatureCheck,
): Promise<SecretEntry | undefined> {
  const { entry } = await ring.read(id);
  return entry === undefined ? undefined : decodeEntry(entry.bytes, isSigned);
}
