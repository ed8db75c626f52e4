import type { Location } from '../index/ordered-index.ts';
import type { Segment } from './segment.ts';

const ADDRESS_UNIT = 2 ** 31;
const EXTENT_UNIT = 2 ** 25;

/** A location, unpacked. */
export interface RecordPlace {
  readonly segment: Segment;
  /** Offset of the nonce in the file. */
  readonly offset: number;
  /** Length of nonce ‖ ciphertext ‖ tag. */
  readonly length: number;
  /** Number of the record, which its associated data contains. */
  readonly ordinal: number;
}

/**
 * All open segments. The index keeps of each record only two numbers: row × 2^31 + offset, and (ordinal − the
 * segment's first) × 2^25 + length, both below 2^53.
 */
export class SegmentTable {
  readonly #rows: (Segment | undefined)[] = [];

  add(make: (row: number) => Segment): Segment {
    const free = this.#rows.indexOf(undefined);
    const row = free === -1 ? this.#rows.length : free;
    const segment = make(row);
    this.#rows[row] = segment;
    return segment;
  }

  remove(segment: Segment): void {
    this.#rows[segment.row] = undefined;
  }

  *all(): Generator<Segment> {
    for (const segment of this.#rows) if (segment !== undefined) yield segment;
  }

  segmentAt(address: number): Segment {
    const segment = this.#rows[Math.floor(address / ADDRESS_UNIT)];
    if (segment === undefined) throw new Error('the index refers to a segment that is not open');
    return segment;
  }

  unpack({ address, extent }: Location): RecordPlace {
    const segment = this.segmentAt(address);
    return {
      segment,
      offset: address % ADDRESS_UNIT,
      length: extent % EXTENT_UNIT,
      ordinal: segment.firstOrdinal + Math.floor(extent / EXTENT_UNIT),
    };
  }
}

/** Packs segment and offset. */
export const packAddress = (segment: Segment, offset: number): number => segment.row * ADDRESS_UNIT + offset;

/** Packs ordinal and length. */
export const packExtent = (segment: Segment, ordinal: number, length: number): number =>
  (ordinal - segment.firstOrdinal) * EXTENT_UNIT + length;

/** Length of a record, from its packed extent. */
export const lengthOf = (extent: number): number => extent % EXTENT_UNIT;
