import type { CustodyOpening } from '../boot/node/custody-openings.ts';
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
  /** Openings of this store by custodians, as the store itself remembers them; the newest last. */
  readonly openings: readonly CustodyOpening[];
}

/** The custody of an open node; `undefined` while it has no slots. */
export function custodyStatus(
  node: Pick<OpenNode, 'book' | 'openings'> | undefined,
): CustodyStatus | undefined {
  const newest = node?.book.newest;
  return newest === undefined ? undefined : statusOf(newest.custody, node?.openings.list ?? []);
}

function statusOf(
  custody: GenerationCustody | undefined,
  openings: readonly CustodyOpening[],
): CustodyStatus {
  const { parts = [], threshold = 0, formerSets = false } = custody ?? {};
  const custodians = parts.map(({ custodian }) => custodian);
  return { custodians, threshold, rotationNeeded: formerSets, openings };
}

/** Sentences for `latchkey status --explain`. */
export function adviceOnCustody(status: CustodyStatus | undefined): readonly string[] {
  if (status === undefined) return [];
  return [
    ...(status.custodians.length === 0 ? [NO_CUSTODY] : []),
    ...(status.rotationNeeded ? [ROTATION_NEEDED] : []),
    ...status.openings.filter(({ forced }) => forced).map(adviceOnForced),
  ];
}

const adviceOnForced = ({ openedAtMs, custodians }: CustodyOpening): string =>
  `Custodians (${custodians.join(', ')}) opened this store by force at ${new Date(openedAtMs).toISOString()}, while its key servers could still give their keys.`;

const NO_CUSTODY =
  'A total blackout loses this store: its trust section names no custodians (docs/custody.md).';

const ROTATION_NEEDED =
  'The custodians changed: former ones have parts of the present store key in older keyslot files. Run `latchkey rotate`; copies of the disk from before stay readable to them.';
