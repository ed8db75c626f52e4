import { chacha20Poly1305Seal } from '../src/crypto/chacha20-poly1305.ts';
import { hkdfExpand, hkdfExtract } from '../src/crypto/hkdf.ts';
import { P256PublicKey } from '../src/crypto/p256.ts';
import { generateEphemeralX25519KeyPair, generateX25519KeyPair } from '../src/crypto/x25519.ts';
import { parseQuote } from '../src/tdx/verify-quote.ts';

/**
 * The bare cryptography of one release: two ECDSA verifications, an X25519 key pair and two DHs, HKDF, AEAD.
 * @returns durations in seconds, one a run.
 */
export function cryptoFloor(quoteBytes: Uint8Array, plaintextBytes: number, runs: number): readonly number[] {
  const quote = parseQuote(quoteBytes);
  const key = P256PublicKey.fromRaw(quote.attestationKey);
  const sender = generateX25519KeyPair();
  const recipient = generateX25519KeyPair().publicKey;
  const plaintext = new Uint8Array(plaintextBytes);
  const empty = new Uint8Array(0);
  const durations: number[] = [];
  for (let run = 0; run < runs * 2; run++) {
    const before = performance.now();
    if (key?.verify(quote.signedBytes, quote.signature) !== true) throw new Error('the floor must verify');
    key.verify(quote.signedBytes, quote.signature);
    const ephemeral = generateEphemeralX25519KeyPair();
    const first = ephemeral.privateKey.diffieHellman(recipient);
    const second = sender.privateKey.diffieHellman(recipient);
    const secret = hkdfExtract(empty, first ?? empty, second ?? empty);
    const keyBytes = hkdfExpand(secret, empty, 32);
    chacha20Poly1305Seal(keyBytes, keyBytes.subarray(0, 12), empty, plaintext);
    if (run >= runs) durations.push((performance.now() - before) / 1000);
  }
  return durations;
}
