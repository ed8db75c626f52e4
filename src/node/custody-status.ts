import type { OpenNode } from '../boot/node/open-node.ts';
import type { GenerationCustody } from '../keyslots/keyslot-file.ts';

/** What `latchkey status` says about custody. */
export interface CustodyStatus {
  /** Names of the custodians; empty when there are none. */
  readonly custodians: readonly string[];
  /** How many of them open the store. */
  readonly threshold: number;
  /** Whether former custodians have parts of the present store key. */
  readonly rotationNeeded: boolean;
}

/** The custody of an open node; `undefined` while it has no slots. */
export function custodyStatus(node: Pick<OpenNode, 'book'> | undefined): CustodyStatus | undefined {
  const newest = node?.book.newest;
  return newest === undefined ? undefined : statusOf(newest.custody);
}

function statusOf(custody: GenerationCustody | undefined): CustodyStatus {
  const { parts = [], threshold = 0, formerSets = false } = custody ?? {};
  return { custodians: parts.map(({ custodian }) => custodian), threshold, rotationNeeded: formerSets };
}

/** Sentences for `latchkey status --explain`. */
export function adviceOnCustody(status: CustodyStatus | undefined): readonly string[] {
  if (status === undefined) return [];
  return [
    ...(status.custodians.length === 0 ? [NO_CUSTODY] : []),
    ...(status.rotationNeeded ? [ROTATION_NEEDED] : []),
  ];
}

const NO_CUSTODY =
  'A total blackout loses this store: its trust section names no custodians (docs/custody.md).';

const ROTATION_NEEDED =
  'The custodians changed: former ones have parts of the present store key in older keyslot files. Run `latchkey rotate`; copies of the disk from before stay readable to them.';
