import { chacha20Poly1305Seal } from '../src/crypto/chacha20-poly1305.ts';
import { hkdfExpand, hkdfExtract } from '../src/crypto/hkdf.ts';
import { P256PublicKey } from '../src/crypto/p256.ts';
import { generateEphemeralX25519KeyPair, generateX25519KeyPair } from '../src/crypto/x25519.ts';
import { parseQuote, type Quote } from '../src/tdx/verify-quote.ts';

const EMPTY = new Uint8Array(0);

/** The bare cryptography of one release: two ECDSA verifications, an X25519 key pair and two DHs, HKDF, AEAD. */
export class BareCryptography {
  readonly #quotes: readonly { readonly quote: Quote; readonly key: P256PublicKey }[];
  readonly #plaintext: Uint8Array;
  readonly #sender = generateX25519KeyPair();
  readonly #recipient = generateX25519KeyPair().publicKey;

  /** @param quotes are verified in turns; @param plaintextBytes are sealed. */
  constructor(quotes: readonly Uint8Array[], plaintextBytes: number) {
    this.#quotes = quotes.map((bytes) => {
      const quote = parseQuote(bytes);
      const key = P256PublicKey.fromRaw(quote.attestationKey);
      if (key === undefined) throw new Error('the floor must have a key');
      return { quote, key };
    });
    this.#plaintext = new Uint8Array(plaintextBytes);
  }

  run(turn: number): void {
    const item = this.#quotes[turn % this.#quotes.length];
    if (item?.key.verify(item.quote.signedBytes, item.quote.signature) !== true) {
      throw new Error('the floor must verify');
    }
    item.key.verify(item.quote.signedBytes, item.quote.signature);
    const ephemeral = generateEphemeralX25519KeyPair();
    const first = ephemeral.privateKey.diffieHellman(this.#recipient);
    const second = this.#sender.privateKey.diffieHellman(this.#recipient);
    const secret = hkdfExtract(EMPTY, first ?? EMPTY, second ?? EMPTY);
    const keyBytes = hkdfExpand(secret, EMPTY, 32);
    chacha20Poly1305Seal(keyBytes, keyBytes.subarray(0, 12), EMPTY, this.#plaintext);
  }

  /** Runs in a loop. @returns durations in seconds, one a run, after as many that warm up. */
  durations(runs: number): readonly number[] {
    const durations: number[] = [];
    for (let run = 0; run < runs * 2; run++) {
      const before = performance.now();
      this.run(run);
      if (run >= runs) durations.push((performance.now() - before) / 1000);
    }
    return durations;
  }
}
