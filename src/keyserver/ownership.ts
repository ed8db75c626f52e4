import { equalBytes } from '../bytes/concat.ts';
import { EvidenceError, RefusalError } from '../errors/latchkey-error.ts';
import { provesRecovery } from '../protocol/recovery-proof.ts';
import type { BoundRequest } from './handshake.ts';
import type { SlotKey } from './slot-key.ts';

const EXPECTED_PROOF = 'HMAC-SHA-256(recovery token, report data)';

/** Whether the recovery proof of a request matches the token of a key. */
export function provesToken({ request, reportData }: BoundRequest, key: SlotKey): boolean {
  return (
    key.recoveryToken !== undefined &&
    request.recoveryProof !== undefined &&
    provesRecovery(request.recoveryProof, key.recoveryToken, reportData)
  );
}

/** Whether a request from `platform` (PPID, 16 bytes) may have a key: by its token, or for a plain key by the platform. */
export function ownsKey(bound: BoundRequest, key: SlotKey, platform: Uint8Array): boolean {
  return key.recoveryToken === undefined
    ? equalBytes(key.provenance.platform, platform)
    : provesToken(bound, key);
}

/**
 * Checks that a request from `platform` (PPID, 16 bytes) may have a key.
 * @throws EvidenceError RECOVERY_PROOF_REQUIRED, RECOVERY_PROOF_WRONG; RefusalError PLATFORM_REFUSED.
 */
export function requireOwnership(bound: BoundRequest, key: SlotKey, platform: Uint8Array): void {
  if (ownsKey(bound, key, platform)) return;
  if (key.isPlain) throw plainKeyOfOtherPlatform();
  if (bound.request.recoveryProof === undefined) {
    throw new EvidenceError('RECOVERY_PROOF_REQUIRED', 'this key was created under a slot id', {
      field: 'recoveryProof',
      expected: EXPECTED_PROOF,
      observed: 'none',
    });
  }
  throw new EvidenceError('RECOVERY_PROOF_WRONG', 'the recovery proof does not match', {
    field: 'recoveryProof',
    expected: EXPECTED_PROOF,
    observed: 'another value',
  });
}

/** The refusal of a plain key to another platform than the one that made it: it has no token, so the platform is its proof. */
export const plainKeyOfOtherPlatform = (): RefusalError =>
  new RefusalError('PLATFORM_REFUSED', 'the key of this account was made for another platform', {
    field: 'quote PPID',
    hint: 'ask from the machine that created the key, or use slot ids, whose recovery token travels',
  });
