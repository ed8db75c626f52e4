import { compareIncarnations, type Incarnation } from './incarnation.ts';

/** How far a store is: the boot that wrote its last records, the sequence number of the last one, and its digest. */
export interface Head {
  readonly incarnation: Incarnation;
  readonly sequence: number;
  /** 32 bytes: 16 of the log's digest ‖ 16 of the node's mark. */
  readonly digest: Uint8Array;
}

/** Positive when `a` is newer than `b`: first by the writer, then by the sequence number. */
export const compareHeads = (
  a: Pick<Head, 'incarnation' | 'sequence'>,
  b: Pick<Head, 'incarnation' | 'sequence'>,
): number => compareIncarnations(a.incarnation, b.incarnation) || a.sequence - b.sequence;
