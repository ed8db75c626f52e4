import { copyBytes } from '../../bytes/copy-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { BOOT_BYTES, NO_INCARNATION } from '../../lineage/incarnation.ts';
import { isNewer } from '../../lineage/rules.ts';
import { type OldLineage, OPENS_NOTHING } from '../node/older-records.ts';
import type { RecoveredKey } from '../obtain/recovery.ts';

/**
 * The lineage of a store key that a change of the key made and that never came into force: the process died before the
 * store changed its key. Servers keep its slots for ever, and nothing but its generation in the keyslot file tells of them.
 *
 * Another copy of the disk may have gone on under that key. So more than n − t servers must have answered, and none of
 * them with a head: then no head of that lineage was told to t servers.
 * @param recovered the key of a generation that does not open the store; its lineage stays the caller's.
 */
export function neverInForce(
  { generations }: KeyslotFile,
  { generation: number, lineage, states }: RecoveredKey,
): OldLineage | undefined {
  const made = generations.find(({ generation }) => generation === number);
  const own = states.filter(({ shown }) => lineage.isOwnIncarnation(shown));
  if (made === undefined || own.length <= made.n - made.t) return undefined;
  if (own.some(({ head }) => head !== undefined && lineage.isOwnHead(head))) return undefined;
  const last = own
    .map(({ shown }) => shown)
    .reduce((newest, shown) => (isNewer(shown, newest) ? shown : newest), NO_INCARNATION);
  return {
    secret: new SecretBytes(lineage.secret.reveal()),
    last: { number: last.number, boot: copyBytes(last.bootId.subarray(0, BOOT_BYTES)) },
    generations: [
      { t: OPENS_NOTHING, servers: made.slots.map(({ server, instanceId }) => ({ server, instanceId })) },
    ],
  };
}
