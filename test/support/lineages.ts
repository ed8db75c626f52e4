import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { BOOT_BYTES, BOOT_ID_BYTES, type Incarnation } from '../../src/lineage/incarnation.ts';
import { Lineage } from '../../src/lineage/lineage.ts';
import { NO_FACTS } from '../../src/lineage/rules.ts';
import type { LineageState } from '../../src/protocol/lineage-state.ts';

/** A lineage secret for tests that need one and do not look at it. */
export const aLineageSecret = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(0x1e));

/** The incarnation of a first boot, for tests that do not look at its mark. */
export const firstIncarnation: Incarnation = { number: 1, bootId: new Uint8Array(BOOT_ID_BYTES).fill(1) };

/** A lineage whose secret is one byte, repeated. */
export const lineageOf = (byte: number): Lineage =>
  new Lineage(new SecretBytes(new Uint8Array(32).fill(byte)));

/** The random part of a boot id: one byte, repeated. */
export const bootOf = (byte: number): Uint8Array => new Uint8Array(BOOT_BYTES).fill(byte);

/** What a server shows of a lineage: nothing yet, but for what is given. */
export const stateOf = (facts: Partial<LineageState> = {}): LineageState => ({
  ...NO_FACTS,
  slots: [],
  ...facts,
});
