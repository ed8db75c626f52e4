import type { CodeEntry } from './code-entry.ts';

/** Codes of the signed fleet manifest. */
export const fleetCodes = {
  FLEET_HEADER_MALFORMED: { status: 422, summary: 'The bytes are not the header of a fleet manifest.' },
  FLEET_NETWORK_OTHER: { status: 403, summary: 'The fleet manifest is for another network.' },
  FLEET_AUTHORITY_OTHER: {
    status: 403,
    summary: 'The fleet manifest is by another authority than the one that may sign it here.',
  },
  FLEET_SIGNATURE_INVALID: {
    status: 403,
    summary: 'A key of the authority stands in the fleet manifest with a signature that is not its own.',
  },
  FLEET_SIGNATURES_TOO_FEW: {
    status: 403,
    summary: 'Fewer keys of the authority have signed the fleet manifest than its threshold.',
  },
  FLEET_SERIAL_TOO_LOW: {
    status: 403,
    summary: 'The fleet manifest is older than the minimum serial of the trust section.',
  },
  FLEET_SERIAL_OLDER: {
    status: 409,
    summary: 'A newer fleet manifest is known already, so this one is refused.',
  },
  FLEET_SERIAL_TOO_HIGH: {
    status: 403,
    summary: 'The serial of the fleet manifest is more than 2^20 above the newest one that is known.',
  },
  FLEET_ISSUED_AHEAD: {
    status: 403,
    summary:
      'The fleet manifest is issued more than a day after the time of the chain, or that is not known.',
  },
  FLEET_PREDECESSOR_OTHER: {
    status: 403,
    summary: 'The first manifest of a new authority does not name the handover that made it one.',
  },
  FLEET_AGE_REFUSED: {
    status: 403,
    summary: 'The first fleet manifest of a new node is too old.',
  },
  FLEET_BODY_MISMATCH: {
    status: 422,
    summary: 'The bytes do not have the hash that the signed header or the body names.',
  },
  FLEET_BODY_MALFORMED: {
    status: 422,
    summary: 'The body of the fleet manifest, or one of its documents, has not the documented form.',
  },
  FLEET_FILE_MALFORMED: { status: 422, summary: 'The file is not a fleet manifest file or a key file.' },
  FLEET_OFF: {
    status: 404,
    summary: 'This node takes no fleet manifest: its trust section has no authority.',
  },
  FLEET_DRAFT_REFUSED: {
    status: 409,
    summary: 'The draft would take access from nodes that have it; the message says from which.',
  },
} as const satisfies Record<string, CodeEntry>;
