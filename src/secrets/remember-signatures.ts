import { Memo, memoKey } from '../bytes/memo.ts';
import { sha256 } from '../crypto/sha2.ts';
import { sr25519Verify } from '../crypto/sr25519.ts';

/** Checks a signature (64 bytes) of an account (32 bytes), as {@link sr25519Verify}. */
export type SignatureCheck = typeof sr25519Verify;

const SIGNATURE_BYTES = 64;
/** Records whose signatures are remembered, some 150 bytes each. */
const MAX_REMEMBERED = 16_384;

/**
 * Makes a check that verifies a genuine signature once. A node meets the record of a secret several times in each
 * operation, from its disk and from each other holder, and the signature costs more than all else that it does with it.
 * Only what was verified is remembered: a forged signature is verified each time, and is not kept.
 */
export function rememberSignatures(verify = sr25519Verify, capacity = MAX_REMEMBERED): SignatureCheck {
  const genuine = new Memo<true>(capacity);
  return (message, signature, account) => {
    // Of another length, two different triples could be one text.
    if (signature.length !== SIGNATURE_BYTES) return false;
    const name = memoKey(sha256(signature, account, message));
    if (genuine.find(name) === true) return true;
    if (!verify(message, signature, account)) return false;
    genuine.set(name, true);
    return true;
  };
}
