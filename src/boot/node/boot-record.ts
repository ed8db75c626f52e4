import { concatBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { BOOT_ID_BYTES, type Incarnation, NO_INCARNATION } from '../../lineage/incarnation.ts';
import type { BatchOperation } from '../../store/api/store-api.ts';

/** Where a node keeps what it knows of its lineage. */
export const LINEAGE_NAMESPACE = 'latchkey/lineage';
const BOOT = 'boot';
const NUMBER_BYTES = 8;

/** The boot record: the incarnation that writes the records after it. Its bytes are u64 number ‖ boot id (16 bytes). */
export const bootRecord = ({ number, bootId }: Incarnation): BatchOperation => ({
  kind: 'put',
  namespace: LINEAGE_NAMESPACE,
  name: BOOT,
  value: concatBytes(u64BigEndian(number), bootId),
});

/**
 * The incarnation that wrote a store last; number 0 in a store without a boot record.
 * @param get reads a value of the store.
 * @throws ProblemError IDENTITY_MISSING when the record is not one.
 */
export async function lastWriterOf(
  get: (namespace: string, name: string) => Promise<Uint8Array | undefined>,
): Promise<Incarnation> {
  const bytes = await get(LINEAGE_NAMESPACE, BOOT);
  if (bytes === undefined) return NO_INCARNATION;
  if (bytes.length !== NUMBER_BYTES + BOOT_ID_BYTES) {
    throw new ProblemError('IDENTITY_MISSING', `the boot record has ${bytes.length} bytes`, {
      hint: 'is this the store of a node of this version? nothing was changed',
    });
  }
  const number = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
  return { number, bootId: copyBytes(bytes.subarray(NUMBER_BYTES)) };
}
