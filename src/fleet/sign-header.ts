import { equalBytes } from '../bytes/concat.ts';
import type { Ed25519Signer } from '../crypto/ed25519.ts';
import { encodeHeader, signingInput } from './fleet-header.ts';
import type { SignedHeader } from './signed-header.ts';

/** The header with the signature of one more key; a former signature of the same key is replaced. */
export function addSignature({ header, signatures }: SignedHeader, signer: Ed25519Signer): SignedHeader {
  const key = signer.publicKey;
  const others = signatures.filter((other) => !equalBytes(other.key, key));
  const signature = signer.sign(signingInput(encodeHeader(header)));
  return { header, signatures: [...others, { key, signature }] };
}
