import type { CodeEntry } from './code-entry.ts';

/** Codes of the audit log. */
export const auditCodes = {
  AUDIT_ENTRY_INVALID: { status: 422, summary: 'Bytes that should be an entry of an audit log are not one.' },
  AUDIT_REQUIRED: {
    status: 503,
    summary:
      'The disk of this server took no entry of the audit log for this key within two seconds, and its trust section lets no key leave without one (trust.audit.required).',
  },
  AUDIT_EXPORT_INVALID: { status: 422, summary: 'A file is no export of an audit log.' },
  AUDIT_CHAIN_BROKEN: {
    status: 422,
    summary: 'Entries of an exported audit log were changed, left out, added or moved.',
  },
  AUDIT_HEAD_OTHER: {
    status: 422,
    summary: 'An exported audit log does not contain an entry that was seen before.',
  },
} as const satisfies Record<string, CodeEntry>;
