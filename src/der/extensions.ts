import type { DerReader } from './der-reader.ts';

/** The extensions of RFC 5280 that this program understands. */
export const extensionOids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyIdentifier: '2.5.29.35',
} as const;

/**
 * Reads an Extensions sequence into a map by dotted OID, of the contents of each OCTET STRING; refuses duplicates
 * (RFC 5280 section 4.2), and critical ones that are not in `understood`.
 */
export function readExtensions(
  reader: DerReader,
  understood: ReadonlySet<string>,
): ReadonlyMap<string, Uint8Array> {
  const list = reader.enter();
  const extensions = new Map<string, Uint8Array>();
  while (list.hasMore) {
    const entry = list.enter();
    const oid = entry.oid();
    const critical = entry.flag();
    const value = entry.octetString();
    entry.end();
    if (extensions.has(oid)) list.fail('each extension once', `${oid} twice`);
    if (critical && !understood.has(oid)) list.fail('no critical extension that is not understood', oid);
    extensions.set(oid, value);
  }
  return extensions;
}
