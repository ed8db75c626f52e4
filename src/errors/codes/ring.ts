import type { CodeEntry } from './code-entry.ts';

/** Codes of the ring: a node refuses another one, or an operation does not get its quorum. */
export const ringCodes = {
  RING_NOT_MEMBER: { status: 403, summary: 'The sender is no member of the ring in the view of this node.' },
  RING_NOT_READY: { status: 503, summary: 'This node does not have all records of its ranges yet.' },
  RING_OTHER_CONFIGURATION: {
    status: 409,
    summary:
      'The request was computed for other holders than those that this node knows; one of the two is behind.',
  },
  RING_MARKS_FULL: {
    status: 503,
    summary:
      'A holder remembers as many begun requests as it may; the oldest of them go within an hour or a little more.',
  },
  RING_QUORUM_MISSING: {
    status: 503,
    summary: 'Too few holders answered; a write may have reached some of them and can be repeated.',
  },
  RING_OFF: { status: 404, summary: 'This node takes part in no ring: its trust section has no ring.' },
  RING_VIEWS_DIFFER: {
    status: 409,
    summary:
      'Two members have different registered servers at one boundary of the chain; one of them lies or is broken.',
  },
  RING_PEER_UNREACHABLE: {
    status: 503,
    summary: 'A member of the ring did not answer in time, or is not accepted.',
  },
  RING_FULL: { status: 507, summary: 'This node has no room for more records of the ring.' },
  RING_RECORD_REFUSED: {
    status: 403,
    summary:
      'Too many holders refuse the record by their own bounds: their operators do not list its user, or it has no room left.',
  },
  RING_BUSY: { status: 503, summary: 'This node answers as many messages of members as it may at once.' },
} as const satisfies Record<string, CodeEntry>;
