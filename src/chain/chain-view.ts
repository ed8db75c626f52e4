import type { AccountId, BlockHash, X25519PublicKey } from '../bytes/fixed-bytes.ts';

/** A threshold server's record, joined with the validator set at one finalized block. */
export interface ServerRecord {
  /** The validator's stash account. */
  readonly stash: AccountId;
  /** The threshold server's own account. */
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  /** `host:port`, as it stands on the chain. */
  readonly endpoint: string;
  /** The registered quote. */
  readonly quote: Uint8Array;
  /** Whether the stash is in the active validator set. */
  readonly active: boolean;
  /** Whether the stash is a signer and so holds a key share. */
  readonly signer: boolean;
}

/** The state of the chain at one finalized block; all of it was read at that block. */
export interface ChainSnapshot {
  readonly genesisHash: BlockHash;
  readonly block: {
    readonly number: number;
    readonly hash: BlockHash;
    readonly timestampMs: number | undefined;
  };
  /** All records, active or not, ordered by account bytes. Records that do not decode are left out and counted. */
  readonly servers: readonly ServerRecord[];
  readonly undecodableRecords: number;
  /** BLAKE2b-256(MRTD ‖ RTMR0 ‖ … ‖ RTMR3) of each accepted measurement, 32 bytes each. */
  readonly acceptedMeasurements: readonly Uint8Array[];
}

/** A live, read-only view of the chain, independent of the client library. */
export interface ChainView extends AsyncDisposable {
  /** The newest finalized snapshot. @throws ProblemError CHAIN_UNAVAILABLE when none can be had in time. */
  snapshot(): Promise<ChainSnapshot>;
  /**
   * The snapshot at exactly this block, proven to be finalized; absent where the chain is not read by proof.
   * @throws ProblemError CHAIN_UNAVAILABLE when the block is not final yet, or no endpoint has its state any more.
   */
  snapshotAt?(number: number): Promise<ChainSnapshot>;
  /** Calls back with each newer snapshot that may differ in content; returns the unsubscriber. */
  subscribe(listener: (snapshot: ChainSnapshot) => void): () => void;
}
