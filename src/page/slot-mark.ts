import type { ShownStatus } from '../http/page-data.ts';

/** A slot of the node's store. */
export type Slot = NonNullable<ShownStatus['slots']>[number];

/** How a slot looks: by colour, by sign and by word, so that none of them is needed alone. */
export interface SlotMark {
  readonly kind: 'good' | 'warn' | 'bad' | 'open';
  readonly sign: string;
}

/** The mark of a slot. */
export function markOf({ standing, isBoundElsewhere }: Slot): SlotMark {
  if (isBoundElsewhere) return { kind: 'warn', sign: '!' };
  switch (standing) {
    case 'live':
      return { kind: 'good', sign: '✓' };
    case 'draining':
      return { kind: 'warn', sign: '↷' };
    case 'asked':
      return { kind: 'open', sign: '?' };
    default:
      return { kind: 'bad', sign: '✗' };
  }
}
