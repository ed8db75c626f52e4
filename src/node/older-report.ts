import { isMissing, unclosedAt } from '../boot/node/older-records.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { encodeSs58 } from '../bytes/ss58.ts';

/** An older generation that can still open an older copy of the disk, for `/readyz` and `latchkey status`. */
interface OpenGeneration {
  readonly generation: number;
  /** How many of its slots open the store. */
  readonly needed: number;
  /** Servers that have not shown that they erased their key, by account. */
  readonly unanswered: readonly string[];
}

/** The lineage of a former store key that is not closed everywhere. */
interface OpenLineage {
  /** Number of the boot that changed the store key. */
  readonly incarnation: number;
  /** Servers that have not shown that it is closed, by account. */
  readonly unanswered: readonly string[];
}

/** What a node left behind and servers may still hold; a field is absent while there is nothing to say. */
export interface OlderReport {
  readonly olderGenerationOpen?: readonly OpenGeneration[];
  readonly formerLineageOpen?: readonly OpenLineage[];
  /** Entries that made room for newer ones while an older copy of the disk could still open by them. */
  readonly olderDropped?: number;
}

/** Reports what a node left behind. A generation that the host put back into the keyslot file is no older one. */
export function olderReport({ older, book }: Pick<OpenNode, 'older' | 'book'>): OlderReport {
  const generations = older.open
    .filter(({ slots }) => !slots.some(({ slotId }) => book.has(slotId)))
    .map(({ generation, t, slots }) => ({
      generation,
      needed: t,
      unanswered: slots.map(({ server }) => encodeSs58(server)),
    }));
  const lineages = older.lineages
    .map((old) => ({
      incarnation: old.last.number,
      unanswered: unclosedAt(old)
        .filter((one) => !isMissing(one))
        .map(({ server }) => encodeSs58(server)),
    }))
    .filter(({ unanswered }) => unanswered.length > 0);
  return {
    ...(generations.length === 0 ? {} : { olderGenerationOpen: generations }),
    ...(lineages.length === 0 ? {} : { formerLineageOpen: lineages }),
    ...(older.dropped === 0 ? {} : { olderDropped: older.dropped }),
  };
}

/** What the operator can do about it, a sentence or two for each fact. */
export function adviceOnOlder(report: OlderReport): readonly string[] {
  const { olderGenerationOpen, formerLineageOpen, olderDropped } = report;
  return [
    ...(olderGenerationOpen === undefined ? [] : [ADVICE_ON_GENERATIONS]),
    ...(formerLineageOpen === undefined ? [] : [ADVICE_ON_LINEAGES]),
    ...(olderDropped === undefined ? [] : [ADVICE_ON_DROPPED]),
  ];
}

const ADVICE_ON_GENERATIONS =
  'An older generation of slots is open: whoever has an older copy of the disk can still open that copy. The node asks the servers that are named until they answer; bring them back, or take those that are gone for good off the chain.';

const ADVICE_ON_LINEAGES =
  'A former store key is not closed at all of its servers: they may still open a copy of the disk from before the change. The node asks the servers that are named until they answer; bring them back, or take those that are gone for good off the chain.';

const ADVICE_ON_DROPPED =
  'The node has given up asking some servers, because its list of what they should erase was full: restart servers that have not answered for long, which erases their keys.';
