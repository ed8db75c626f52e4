import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import type { AccountHold } from './account-hold.ts';
import type { CustodyOpening, CustodyOpenings } from './custody-openings.ts';
import type { FencedStore } from './fenced-store.ts';
import type { NodeIdentity } from './identity.ts';
import type { OlderGenerations } from './older-generations.ts';
import type { RollbackCheck } from './rollback-check.ts';
import type { SlotBook } from './slot-book.ts';

/** A node with an open store. */
export interface OpenNode {
  readonly identity: NodeIdentity;
  readonly store: FencedStore;
  /** The same store, for the change of its key alone: everything else goes through {@link store}. */
  readonly sealed: SealedStore;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** 32 bytes, in memory only. */
  readonly storeKey: SecretBytes;
  readonly book: SlotBook;
  /** Which boot this is, and whether it holds the account. */
  readonly hold: AccountHold;
  /** How custodians gave the store key: then it serves others before it holds. `undefined`: key servers gave it. */
  readonly byCustodians: CustodyOpening | undefined;
  /** Openings by custodians that the store remembers. */
  readonly openings: CustodyOpenings;
  /** Compares heads that servers show until this boot holds; a node that was just made has none. */
  readonly rollback?: RollbackCheck;
  /** Generations, and lineages, that were left behind, as long as servers have not erased their keys. */
  readonly older: OlderGenerations;
  /** The lease of the instance that wrote the store last, in milliseconds; 0 without one. */
  readonly formerLeaseMs: number;
  close(): Promise<void>;
}
