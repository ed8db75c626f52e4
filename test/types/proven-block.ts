import { ProvenBlock } from '../../src/chain/proof/finality-tracker.ts';
import type { Header } from '../../src/chain/proof/header.ts';

declare const proven: ProvenBlock;
declare const header: Header;
declare const otherRoot: Uint8Array;

/** What the project's own reader takes. */
declare function readAt(block: ProvenBlock): void;

readAt(proven);

// @ts-expect-error a copy with another state root is not proven
readAt({ ...proven, stateRoot: otherRoot });

// @ts-expect-error an unchanged copy is not proven either
readAt({ ...proven });

// @ts-expect-error an object with the same fields is not proven
readAt({ number: proven.number, hash: proven.hash, stateRoot: proven.stateRoot, header });

// @ts-expect-error the key of the constructor is known to the tracker alone
export const made = new ProvenBlock(Symbol('FinalityTracker'), header);

// @ts-expect-error the fields cannot be replaced
proven.stateRoot = otherRoot;
