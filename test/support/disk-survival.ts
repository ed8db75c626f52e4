import type { Dice } from './disk-dice.ts';

/** A change of one file that has not been synced yet. */
export type FileChange =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'resize'; readonly length: number };

/**
 * What a power cut leaves of the changes that were not synced: nothing; everything; the first few with the last one
 * torn; any sectors of them in any order; or those, with some of the others full of junk.
 */
export type Survival = 'lost' | 'kept' | 'prefix' | 'subset' | 'scrambled';

/** All of them, for tests that try every one. */
export const survivals: readonly [Survival, ...Survival[]] = [
  'lost',
  'kept',
  'prefix',
  'subset',
  'scrambled',
];

/** Disks write whole sectors; a write is torn only between them, but programs must not count on more than bytes. */
const SECTOR_BYTES = 512;

/** Which of the unsynced changes of one file reach the platter, possibly in part. */
export function survivingChanges(
  changes: readonly FileChange[],
  survival: Survival,
  dice: Dice,
): readonly FileChange[] {
  if (survival === 'subset' || survival === 'scrambled') {
    return changes.flatMap((change) => survivingSectors(change, survival === 'scrambled', dice));
  }
  if (survival !== 'prefix') return survival === 'kept' ? changes : [];
  const whole = dice.below(changes.length + 1);
  const torn = changes[whole];
  const kept = changes.slice(0, whole);
  if (torn?.kind === 'write')
    kept.push({ ...torn, bytes: torn.bytes.slice(0, dice.below(torn.bytes.length)) });
  return kept;
}

/** Which of a folder's unsynced changes reach the platter; each is whole or absent. */
export function survivingPrefixOrSubset<Change>(
  changes: readonly Change[],
  survival: Survival,
  dice: Dice,
): readonly Change[] {
  if (survival === 'lost') return [];
  if (survival === 'kept') return changes;
  if (survival === 'prefix') return changes.slice(0, dice.below(changes.length + 1));
  return changes.filter(() => dice.chance(0.5));
}

function survivingSectors(change: FileChange, junk: boolean, dice: Dice): FileChange[] {
  if (change.kind === 'resize') return dice.chance(0.5) ? [change] : [];
  const kept: FileChange[] = [];
  let from = 0;
  while (from < change.bytes.length) {
    const position = change.position + from;
    const length = Math.min(SECTOR_BYTES - (position % SECTOR_BYTES), change.bytes.length - from);
    const fate = dice.below(4);
    if (fate < 2) kept.push({ kind: 'write', position, bytes: change.bytes.slice(from, from + length) });
    else if (junk && fate === 2) kept.push({ kind: 'write', position, bytes: dice.bytes(length) });
    from += length;
  }
  return kept;
}
