import { concatBytes, equalBytes } from '../bytes/concat.ts';
import { type AccountId, type Nonce, ReportData, type X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { blake2s256 } from '../crypto/blake2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';

/** Entropy's contexts of a quote; the chain holds quotes of the first three. */
export const registrationContext = {
  validate: 0,
  changeEndpoint: 1,
  changeThresholdAccounts: 2,
  encryptionKeyRecovery: 3,
} as const;

/** One of Entropy's context bytes. */
export type RegistrationContext = (typeof registrationContext)[keyof typeof registrationContext];

const HASH_BYTES = 32;
const registeredContexts = [
  registrationContext.validate,
  registrationContext.changeEndpoint,
  registrationContext.changeThresholdAccounts,
] as const;

const binding = (account: AccountId, x25519: X25519PublicKey, context: RegistrationContext): Uint8Array =>
  blake2s256(account, x25519, Uint8Array.of(context));

/** Report data as Entropy's nodes register them: BLAKE2s-256(account ‖ X25519 key ‖ context byte) ‖ 32-byte nonce. */
export function registrationReportData(
  account: AccountId,
  x25519: X25519PublicKey,
  context: RegistrationContext,
  nonce: Nonce,
): ReportData {
  return ReportData.of(concatBytes(binding(account, x25519, context), nonce));
}

/**
 * Checks that a registered quote's report data bind this account to this X25519 key, under any context that the
 * chain registers. The nonce was the chain's to check when it took the quote.
 * @throws EvidenceError REGISTRATION_MISMATCH.
 */
export function judgeRegistration(
  reportData: ReportData,
  account: AccountId,
  x25519: X25519PublicKey,
): RegistrationContext {
  const bound = reportData.subarray(0, HASH_BYTES);
  const context = registeredContexts.find((candidate) =>
    equalBytes(bound, binding(account, x25519, candidate)),
  );
  if (context !== undefined) return context;
  throw new EvidenceError(
    'REGISTRATION_MISMATCH',
    'the quote registered on the chain does not bind this account to this X25519 key',
    {
      field: 'reportData',
      expected: 'BLAKE2s-256(account ‖ X25519 key ‖ context byte 0, 1 or 2) in the first 32 bytes',
      observed: toPrefixedHex(bound),
    },
  );
}
