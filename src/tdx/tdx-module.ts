import { byteAt } from '../bytes/byte-at.ts';
import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { TcbInfo, TdxModuleIdentity } from './tcb-info.ts';
import type { TdReport } from './td-report.ts';

const noAttributes = new Uint8Array(8);

/** Bytes of `teeTcbSvn` with a meaning of their own. */
export const TEE_TCB_SVN_MODULE_SVN = 0;
export const TEE_TCB_SVN_MODULE_VERSION = 1;

/**
 * Finds the identity of a TDX module version.
 * @param field which of the TD report's fields states the version.
 * @throws EvidenceError TDX_MODULE_MISMATCH when the TCB info does not know this version.
 */
export function findModuleIdentity(
  tcbInfo: TcbInfo,
  version: number,
  field: 'teeTcbSvn' | 'teeTcbSvn2',
): TdxModuleIdentity {
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  const identity = tcbInfo.tdxModuleIdentities.get(id);
  if (identity !== undefined) return identity;
  const known = [...tcbInfo.tdxModuleIdentities.keys()].join(', ') || 'none';
  throw new EvidenceError('TDX_MODULE_MISMATCH', `the TCB info has no TDX module ${id}; it knows ${known}`, {
    field: `${field}[1] (TDX module version)`,
    expected: known,
    observed: id,
  });
}

/**
 * Requires a TDX module that Intel signed: MRSIGNERSEAM and SEAMATTRIBUTES of its version's identity.
 * Version 0 has no identity of its own: `tdxModule` of the TCB info says who signed it.
 * @throws EvidenceError TDX_MODULE_MISMATCH.
 */
export function requireTdxModule(body: TdReport, tcbInfo: TcbInfo): void {
  const version = byteAt(body.teeTcbSvn, TEE_TCB_SVN_MODULE_VERSION);
  const identity = version > 0 ? findModuleIdentity(tcbInfo, version, 'teeTcbSvn') : undefined;
  const { mrSigner, attributes } = identity ?? tcbInfo.tdxModule;
  requireEqual('MRSIGNERSEAM', mrSigner, body.mrSignerSeam);
  requireEqual('SEAMATTRIBUTES', attributes, body.seamAttributes);
  // Intel's verifier requires zero as well; attributes and mask of the identity cannot change that.
  requireEqual('SEAMATTRIBUTES', noAttributes, body.seamAttributes);
}

function requireEqual(field: string, expected: Uint8Array, observed: Uint8Array): void {
  if (equalBytes(expected, observed)) return;
  const message = `${field} must be ${toHex(expected)}, got ${toHex(observed)}`;
  throw new EvidenceError('TDX_MODULE_MISMATCH', message, {
    field,
    expected: toHex(expected),
    observed: toHex(observed),
  });
}
