/**
 * What came of a peer's message: it counts, it does not concern us (a duplicate, a stranger, too late), or the peer
 * provably misbehaved and may be blocked.
 */
export type MessageVerdict = 'valid' | 'skip' | 'fault';
