import type { CodeEntry } from './code-entry.ts';

/** Codes of the handshake, the judge, the vault and the envelope. */
export const keyserverCodes = {
  CHALLENGE_INVALID: {
    status: 401,
    summary: 'The challenge was not made by this server for this account and ephemeral key.',
  },
  HPKE_PUBLIC_KEY_INVALID: {
    status: 400,
    summary: 'The X25519 public key to seal to has small order, so everyone would know the secret.',
  },
} as const satisfies Record<string, CodeEntry>;
