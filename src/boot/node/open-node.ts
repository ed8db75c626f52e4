import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import type { FormerSlots } from '../heal/former-slots.ts';
import type { FencedStore } from './fenced-store.ts';
import type { NodeIdentity } from './identity.ts';
import type { OwnClaim } from './own-claim.ts';
import type { OwnMarks } from './own-marks.ts';
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
  readonly marks: OwnMarks;
  /** The claim of this boot. */
  readonly claim: OwnClaim;
  /** Slots of the store key before this one, which are to be erased. */
  readonly former?: FormerSlots;
  close(): Promise<void>;
}
