import { sha384 } from '@noble/hashes/sha2.js';
import { utf8 } from '../src/bytes/concat.ts';

/** The fields of a TD that a caller of the quote maker may choose. */
export interface TdMeasurements {
  /** 48 bytes each, up to `rtMr3`. */
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
  /** 8 bytes each, in the byte order of the quote. */
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
}

/** Byte length of each measurement. */
export const measurementLengths = {
  mrTd: 48,
  mrConfigId: 48,
  mrOwner: 48,
  mrOwnerConfig: 48,
  rtMr0: 48,
  rtMr1: 48,
  rtMr2: 48,
  rtMr3: 48,
  tdAttributes: 8,
  xfam: 8,
} as const satisfies Record<keyof TdMeasurements, number>;

/** Names of the measurements, in the order of the quote's body. */
export const measurementNames = Object.keys(measurementLengths) as readonly (keyof TdMeasurements)[];

const image = (register: string): Uint8Array => sha384(utf8(`latchkey development image: ${register}`));

/**
 * What a TD of the development network measures: a fixed image, SEPT_VE_DISABLE set, the extended features that
 * cloud machines show. MRCONFIGID and the owners are zero until someone sets them.
 */
export const developmentMeasurements: TdMeasurements = {
  mrTd: image('mrTd'),
  mrConfigId: new Uint8Array(48),
  mrOwner: new Uint8Array(48),
  mrOwnerConfig: new Uint8Array(48),
  rtMr0: image('rtMr0'),
  rtMr1: image('rtMr1'),
  rtMr2: image('rtMr2'),
  rtMr3: image('rtMr3'),
  tdAttributes: Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0),
  xfam: Uint8Array.of(0xe7, 0x02, 0x06, 0, 0, 0, 0, 0),
};
