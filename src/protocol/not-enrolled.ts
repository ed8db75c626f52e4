import { concatBytes, utf8 } from '../bytes/concat.ts';
import type { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import { NOT_ENROLLED_DRAINING_LABEL, NOT_ENROLLED_LABEL } from './labels.ts';

/** Bytes of a signature that says "I hold no slot of yours". */
export const NOT_ENROLLED_SIGNATURE_BYTES = 64;

/** Bytes of the nonce in the news that a server drains. */
export const NEWS_NONCE_BYTES = 16;

/** A message of a server to its clients: it restarted without its keys, or it drains. */
export type ServerNews = { readonly server: AccountId } & (
  | { readonly instanceId: InstanceId }
  /** {@link NEWS_NONCE_BYTES}, new in every request, so that an older answer does not count. */
  | { readonly nonce: Uint8Array }
);

/** A client's answer to such news. */
export type NotEnrolled = ServerNews & { readonly client: AccountId };

/**
 * What a client signs with its account key: `<Bytes>`, label ‖ client ‖ server ‖ instance id or nonce, `</Bytes>`. The
 * brackets are Substrate's convention: wallets and chains do not accept such bytes as a transaction.
 */
export function notEnrolledMessage(statement: NotEnrolled): Uint8Array {
  const { client, server } = statement;
  const [label, about] =
    'nonce' in statement
      ? [NOT_ENROLLED_DRAINING_LABEL, statement.nonce]
      : [NOT_ENROLLED_LABEL, statement.instanceId];
  return concatBytes(utf8('<Bytes>'), label, client, server, about, utf8('</Bytes>'));
}

/** Signs with the 32-byte account seed; 64 bytes. */
export const signNotEnrolled = (seed: SecretBytes, statement: NotEnrolled): Uint8Array =>
  sr25519Sign(seed.reveal(), notEnrolledMessage(statement));

/** Whether the client signed this statement about this news. */
export const provesNotEnrolled = (signature: Uint8Array, statement: NotEnrolled): boolean =>
  sr25519Verify(notEnrolledMessage(statement), signature, statement.client);
