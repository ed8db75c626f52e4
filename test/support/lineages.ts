import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { BOOT_ID_BYTES, type Incarnation } from '../../src/lineage/incarnation.ts';

/** A lineage secret for tests that need one and do not look at it. */
export const aLineageSecret = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(0x1e));

/** The incarnation of a first boot, for tests that do not look at its mark. */
export const firstIncarnation: Incarnation = { number: 1, bootId: new Uint8Array(BOOT_ID_BYTES).fill(1) };
