import type { XChaCha20Key } from '../../crypto/xchacha20-key.ts';
import { OrderedIndex } from './ordered-index.ts';
import type { PendingRecord } from './pending-record.ts';

/** The state of one namespace in memory. */
export interface NamespaceState {
  readonly id: number;
  readonly name: string;
  /** Where the wrapped key is in the keys file; `undefined` for a namespace that cannot be erased. */
  readonly keyPlace: number | undefined;
  /** The namespace's own key; `undefined` for a plain one, and when the key is gone. */
  readonly key: XChaCha20Key | undefined;
  index: OrderedIndex;
  /** The last write of each name that is not durable yet. */
  readonly pending: Map<string, PendingRecord>;
  erased: boolean;
  /** Numbers of the segments that may hold a record of an erasable namespace, also an overwritten one. */
  readonly heldBy: Set<number>;
}

/** A namespace without records. */
export const newNamespaceState = (
  id: number,
  name: string,
  keyPlace: number | undefined,
  key: XChaCha20Key | undefined,
): NamespaceState => ({
  id,
  name,
  keyPlace,
  key,
  index: new OrderedIndex(),
  pending: new Map(),
  erased: false,
  heldBy: new Set(),
});
