import type { AccountId, LineageId, SlotId } from '../../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ServerRecord } from '../../chain/chain-view.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';

/** The record of a server that a request needs: its account, its registered key, its present address. */
export type PeerRecord = Pick<ServerRecord, 'account' | 'x25519PublicKey' | 'endpoint'>;

/** Sees what every proved answer shows of a lineage; an `AccountHold` is one. */
export interface LineageObserver {
  observe(state: LineageState | undefined): void;
}

/** A lineage at a server, with the key that proves it. */
export interface HeldLineage {
  readonly account: AccountId;
  /** The lineage key of that server, 32 bytes. */
  readonly key: SecretBytes;
  /** Sees every answer, also one that comes when its caller waits no more. */
  readonly observer: LineageObserver;
}

/** A slot at a server, with the key that proves it. */
export interface HeldSlot extends HeldLineage {
  readonly slotId: SlotId;
}

/** A key, and the slot or lineage that it proves. */
export interface NamedKey extends HeldLineage {
  readonly name: SlotId | LineageId;
}
