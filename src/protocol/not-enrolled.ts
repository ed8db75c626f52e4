import { concatBytes, utf8 } from '../bytes/concat.ts';
import type { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import { NOT_ENROLLED_LABEL } from './labels.ts';

/** Bytes of a signature that says "I hold no slot of yours". */
export const NOT_ENROLLED_SIGNATURE_BYTES = 64;

/** Who says it to whom, about which start of the server. */
export interface NotEnrolled {
  readonly client: AccountId;
  readonly server: AccountId;
  readonly instanceId: InstanceId;
}

/**
 * What a client signs with its account key: `<Bytes>`, label ‖ client ‖ server ‖ instance id, `</Bytes>`. The
 * brackets are Substrate's, so that no wallet and no chain takes it for a transaction.
 */
export const notEnrolledMessage = ({ client, server, instanceId }: NotEnrolled): Uint8Array =>
  concatBytes(utf8('<Bytes>'), NOT_ENROLLED_LABEL, client, server, instanceId, utf8('</Bytes>'));

/** Signs with the 32-byte account seed; 64 bytes. */
export const signNotEnrolled = (seed: SecretBytes, statement: NotEnrolled): Uint8Array =>
  sr25519Sign(seed.reveal(), notEnrolledMessage(statement));

/** Whether the client itself said so, for this start of the server. */
export const provesNotEnrolled = (signature: Uint8Array, statement: NotEnrolled): boolean =>
  sr25519Verify(notEnrolledMessage(statement), signature, statement.client);
