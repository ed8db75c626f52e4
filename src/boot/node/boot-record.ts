import { concatBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { u64BigEndian } from '../../bytes/integers.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { BOOT_ID_BYTES, type Incarnation, NO_INCARNATION } from '../../lineage/incarnation.ts';
import type { BatchOperation, Store } from '../../store/api/store-api.ts';

/** Where a node keeps what it knows of its lineage. */
export const LINEAGE_NAMESPACE = 'latchkey/lineage';
const BOOT = 'boot';
const LEASE = 'lease';
const NUMBER_BYTES = 8;

/**
 * The boot record: the incarnation that writes the records after it. Its bytes are u64 number ‖ boot id (16 bytes). Beside
 * it, as u64 milliseconds, for how long that instance may write without word from its key servers.
 * @param leaseMs `undefined` for an instance without a lease.
 */
export const bootRecords = (
  { number, bootId }: Incarnation,
  leaseMs: number | undefined,
): readonly BatchOperation[] => [
  { kind: 'put', namespace: LINEAGE_NAMESPACE, name: BOOT, value: concatBytes(u64BigEndian(number), bootId) },
  leaseMs === undefined
    ? { kind: 'delete', namespace: LINEAGE_NAMESPACE, name: LEASE }
    : { kind: 'put', namespace: LINEAGE_NAMESPACE, name: LEASE, value: u64BigEndian(leaseMs) },
];

/**
 * The lease of the incarnation that wrote a store last, in milliseconds; 0 where it had none.
 * @throws ProblemError IDENTITY_MISSING when the record is not one.
 */
export async function leaseOfLastWriter(store: Store): Promise<number> {
  if (!store.hasNamespace(LINEAGE_NAMESPACE)) return 0;
  const bytes = await (await store.namespace(LINEAGE_NAMESPACE)).get(LEASE);
  if (bytes === undefined) return 0;
  requireLength(bytes, NUMBER_BYTES, 'the lease of the last writer');
  return numberIn(bytes);
}

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
  requireLength(bytes, NUMBER_BYTES + BOOT_ID_BYTES, 'the boot record');
  return { number: numberIn(bytes), bootId: copyBytes(bytes.subarray(NUMBER_BYTES)) };
}

const numberIn = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length === length) return;
  throw new ProblemError('IDENTITY_MISSING', `${what} has ${bytes.length} bytes`, {
    hint: 'is this the store of a node of this version? nothing was changed',
  });
}
