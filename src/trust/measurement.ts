import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { Memo, memoKey } from '../bytes/memo.ts';
import { blake2b256 } from '../crypto/blake2.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { MeasurementPolicy } from './trust-section.ts';

/** The measurement of an image in a TDX quote: five registers of 48 bytes. A quote's body has this shape. */
export interface Measurement {
  readonly mrTd: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
}

const REGISTER_BYTES = 48;
const registers = ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2', 'rtMr3'] as const satisfies (keyof Measurement)[];

/**
 * The 32-byte name of a measurement, as Entropy's chain lists it: BLAKE2b-256(MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 ‖ RTMR3).
 * @throws RangeError when a register has not 48 bytes.
 */
export function measurementId(measurement: Measurement): Uint8Array {
  const parts = registers.map((register) => {
    const value = measurement[register];
    if (value.length === REGISTER_BYTES) return value;
    throw new RangeError(`${register} must be ${REGISTER_BYTES} bytes, got ${value.length}`);
  });
  const joined = concatBytes(...parts);
  return ids.get(memoKey(joined), () => blake2b256(joined));
}

/** A network runs few images, and BLAKE2b-256 is JavaScript. */
const ids = new Memo<Uint8Array>(256);

/** Sources of accepted measurements in addition to the policy. */
export interface MeasurementFacts {
  /** This machine's own measurement id, 32 bytes. */
  readonly own: Uint8Array;
  /** The chain's accepted list at a finalized block, 32 bytes each. */
  readonly chainAccepted: readonly Uint8Array[];
  /** Measurement ids that the fleet manifest in force accepts, `0x` hex. */
  readonly fleetAccepted?: readonly string[];
}

/** The measurement ids that a policy accepts now. The own one is always among them: a fleet must know itself. */
export function acceptedMeasurementIds(
  policy: MeasurementPolicy,
  { own, chainAccepted }: MeasurementFacts,
): readonly Uint8Array[] {
  switch (policy.kind) {
    case 'own':
      return [own];
    case 'chain':
      return [own, ...chainAccepted];
    case 'pinned':
      return [own, ...policy.accepted];
  }
}

/**
 * Judges another machine's measurement.
 * @throws RefusalError MEASUREMENT_REFUSED.
 */
export const judgeMeasurement = (
  measurement: Measurement,
  policy: MeasurementPolicy,
  facts: MeasurementFacts,
): void => judgeMeasurementId(measurementId(measurement), policy, facts);

/**
 * Judges a measurement by its id, 32 bytes.
 * @throws RefusalError MEASUREMENT_REFUSED.
 */
export function judgeMeasurementId(id: Uint8Array, policy: MeasurementPolicy, facts: MeasurementFacts): void {
  if (facts.fleetAccepted?.includes(toPrefixedHex(id)) === true) return;
  const accepted = acceptedMeasurementIds(policy, facts);
  if (accepted.some((candidate) => equalBytes(candidate, id))) return;
  throw new RefusalError('MEASUREMENT_REFUSED', `measurement ${toPrefixedHex(id)} is not accepted`, {
    field: 'quote measurement',
    expected: expectation(policy, facts),
    observed: toPrefixedHex(id),
    hint: 'an upgrade is accepted once its measurement is on the chain, in the pinned list of the trust section, or in the fleet manifest',
  });
}

function expectation(policy: MeasurementPolicy, { own, chainAccepted }: MeasurementFacts): string {
  const self = `the own measurement ${toPrefixedHex(own)}`;
  switch (policy.kind) {
    case 'own':
      return self;
    case 'chain':
      return `${self}, or one of the ${chainAccepted.length} accepted on the chain`;
    case 'pinned':
      return `${self}, or one of the ${policy.accepted.length} pinned`;
  }
}
