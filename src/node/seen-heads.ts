import { type AuditHead, decodeHead, encodeHead, sameHead } from '../audit/audit-chain.ts';
import { concatBytes } from '../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../bytes/integers.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

const HEAD_BYTES = 40;
const SEEN_BYTES = HEAD_BYTES + 8;
/** Most heads of one server. */
export const MOST_HEADS = 16;

/** A head of another node's audit log. */
export interface SeenHead {
  readonly head: AuditHead;
  /** By the clock of this node, in milliseconds since 1970. */
  readonly atMs: number;
}

/** The heads of one server that are kept, by their numbers; at least one. */
export type SeenHeads = readonly SeenHead[];

/** The head of the same number that is another one; `undefined` when none is known. */
export const contradicted = (kept: SeenHeads, head: AuditHead): AuditHead | undefined =>
  kept.find((seen) => seen.head.sequence === head.sequence && !sameHead(seen.head, head))?.head;

/**
 * The heads with one more. The first and the newest always stay; of the others those that say least go, so that they
 * become rarer with their age. An older head than the newest adds nothing: answers may overtake each other.
 */
export function withHead(kept: SeenHeads, { head, atMs }: SeenHead): SeenHeads {
  if (head.sequence <= (kept.at(-1)?.head.sequence ?? 0)) return kept;
  const all = [...kept, { head, atMs }];
  return all.length <= MOST_HEADS ? all : all.toSpliced(leastTelling(all), 1);
}

/** The one without which the gap is smallest, for its distance from the newest. */
function leastTelling(all: SeenHeads): number {
  const at = (index: number): number => all[index]?.head.sequence ?? 0;
  const gapWithout = (index: number): number =>
    (at(index + 1) - at(index - 1)) / (at(all.length - 1) - at(index - 1));
  let least = 1;
  for (let index = 2; index < all.length - 1; index++)
    if (gapWithout(index) < gapWithout(least)) least = index;
  return least;
}

/** (Head ‖ u64 milliseconds)… */
export const encodeSeen = (kept: SeenHeads): Uint8Array =>
  concatBytes(...kept.flatMap(({ head, atMs }) => [encodeHead(head), u64BigEndian(atMs)]));

/** @throws EvidenceError AUDIT_ENTRY_INVALID. */
export function decodeSeen(value: Uint8Array): SeenHeads {
  if (value.length === 0 || value.length % SEEN_BYTES !== 0)
    throw new EvidenceError('AUDIT_ENTRY_INVALID', `a record of heads has ${value.length} bytes`);
  return Array.from({ length: value.length / SEEN_BYTES }, (_, index) => {
    const start = index * SEEN_BYTES;
    return {
      head: decodeHead(value.subarray(start, start + HEAD_BYTES)),
      atMs: Number(readU64BigEndian(value, start + HEAD_BYTES)),
    };
  });
}
