import type { AuditEntry } from '../../audit/audit-entry.ts';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Line } from '../shared/bounded-lines.ts';

/** Lines that fit. @throws EvidenceError AUDIT_EXPORT_INVALID at one that is too long. */
export async function* wholeLines(lines: AsyncIterable<Line>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) {
    if (line.tooLong)
      throw new EvidenceError('AUDIT_EXPORT_INVALID', 'a line is longer than any of an export');
    yield line.bytes;
  }
}

/** One entry for people: number, time, event, facts. */
export function entryLine({ sequence, atMs, event, fields }: AuditEntry): string {
  const facts = Object.entries(fields).map(
    ([name, value]) => `${name}=${Array.isArray(value) ? value.join(', ') : value}`,
  );
  return escapeControls([`${sequence}`, timeOf(atMs), event, ...facts].join('  '));
}

/** A clock may say anything, also a time that has no date. */
export const timeOf = (atMs: number): string => {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? `${atMs} ms` : date.toISOString();
};
