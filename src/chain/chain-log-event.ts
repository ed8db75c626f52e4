/** Something that operators may want to see; `endpoint` holds no path or query. */
export interface ChainLogEvent {
  readonly event:
    | 'chain.connected'
    | 'chain.disconnected'
    | 'chain.connect-failed'
    /** Finality stands still: the endpoint answers, and has no newer head. */
    | 'chain.stalled'
    | 'chain.decoder-failed'
    | 'chain.snapshot'
    | 'chain.read-failed'
    | 'chain.listener-failed';
  readonly endpoint?: string;
  readonly code?: string;
  readonly message?: string;
  readonly blockNumber?: number;
  /** How often the same has happened in a row. */
  readonly count?: number;
}
