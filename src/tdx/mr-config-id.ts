import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { sha256, sha384 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { TdReport } from './td-report.ts';

/** Bytes of MRCONFIGID. */
const MR_CONFIG_ID_BYTES = 48;
const hashes = { sha256, sha384 } as const;

/**
 * The MRCONFIGID of a configuration document: its hash, filled up with zeros to 48 bytes.
 * @param hash the hash of the convention that the TD follows; Latchkey's trust sections use SHA-384 over canonical JSON.
 */
export function mrConfigIdOf(document: Uint8Array, hash: keyof typeof hashes = 'sha384'): Uint8Array {
  const id = new Uint8Array(MR_CONFIG_ID_BYTES);
  id.set(hashes[hash](document));
  return id;
}

/**
 * Requires that a TD was started with this configuration. **The host sets MRCONFIGID**: the TD's own code has to compare
 * the document that it uses with it, or the value says nothing about the TD.
 * @throws EvidenceError MR_CONFIG_ID_MISMATCH.
 */
export function requireMrConfigId(
  report: Pick<TdReport, 'mrConfigId'>,
  document: Uint8Array,
  hash: keyof typeof hashes = 'sha384',
): void {
  const expected = mrConfigIdOf(document, hash);
  if (equalBytes(report.mrConfigId, expected)) return;
  throw new EvidenceError('MR_CONFIG_ID_MISMATCH', 'MRCONFIGID is not the hash of this document', {
    field: 'mrConfigId',
    expected: toHex(expected),
    observed: toHex(report.mrConfigId),
  });
}
