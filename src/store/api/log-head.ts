/** A position in the log: what the store holds up to here is authenticated by `digest`. */
export interface LogHead {
  /** Grows when the log is rewritten under new keys or restored. */
  readonly generation: number;
  /** Sequence number of the last record. */
  readonly sequence: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}
