/**
 * The result of a peer's message: it counts; it is ignored (a duplicate, an unknown sender, too late); or the peer
 * provably misbehaved and may be blocked.
 */
export type MessageVerdict = 'valid' | 'skip' | 'fault';
