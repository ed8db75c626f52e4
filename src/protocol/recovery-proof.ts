import { Mac, type ReportData } from '../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { equalConstantTime } from '../crypto/constant-time.ts';
import { hmacSha256 } from '../crypto/hkdf.ts';

/** Bytes of the token that a server seals with a key it creates. */
export const RECOVERY_TOKEN_BYTES = 32;

/** HMAC-SHA-256(recovery token, report data): shows that the client holds the keyslot file of this account. */
export const recoveryProof = (token: SecretBytes, reportData: ReportData): Mac =>
  Mac.of(hmacSha256(token.reveal(), reportData));

/** Compares a received proof with the proof that the token gives. */
export const provesRecovery = (proof: Uint8Array, token: SecretBytes, reportData: ReportData): boolean =>
  equalConstantTime(proof, recoveryProof(token, reportData));
