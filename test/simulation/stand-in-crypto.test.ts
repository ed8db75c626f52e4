import { describe, expect, it } from 'vitest';
import { Ed25519Signer, ed25519Verify } from '../../src/crypto/ed25519.ts';
import { hmacSha256 } from '../../src/crypto/hkdf.ts';
import { generateX25519KeyPair, x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { insecureTrustRoot, QuoteVerifier, type VerifyOptions } from '../../src/tdx/verify-quote.ts';
import { RememberingVerifier, SwiftPki } from '../support/remembered-quotes.ts';
import { SimulatedNetwork } from '../support/simulated-network.ts';
import { attemptTheft, type Theft, thefts } from '../support/simulated-network-thief.ts';
import type { SignatureMode } from '../support/simulated-network-world.ts';
import { withStandInCrypto } from '../support/stand-in-crypto.ts';
import { collateralWith, worldNowMs } from '../support/tdx-world.ts';
import { codeOf } from '../support/thrown.ts';

const SIGNED_BYTES = 48 + 584;
const fill = (value: number, length = 32) => new Uint8Array(length).fill(value);
const flipped = (bytes: Uint8Array, at: number) =>
  bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));

/** One PKI each, with the same keys: a key that has signed by stand-ins stays in their table. */
const pki = new SwiftPki(fill(42));
const realPki = new SwiftPki(fill(42));
const trustRoot = insecureTrustRoot(pki.rootPem);
const options: VerifyOptions = { collateral: collateralWith(() => ({})), nowMs: worldNowMs };
const quoteBy = (signer: SwiftPki, value: number, platform = 0) =>
  signer.quote({ reportData: fill(value, 64), platform });
const verdict = (verifier: QuoteVerifier, quote: Uint8Array): string =>
  codeOf(() => verifier.verify(quote, options));

describe('quotes with stand-in signatures', () => {
  it('are accepted, and with any byte altered refused as real ones are', { timeout: 120_000 }, async () => {
    const realQuote = quoteBy(realPki, 1);
    const chainStart = Buffer.from(realQuote).indexOf('-----BEGIN');
    const places = [...realQuote.keys()].filter((at) => at < chainStart || at % 20 === 0);
    const real = new QuoteVerifier({ trustRoot });
    const expected = places.map((at) => verdict(real, flipped(realQuote, at)));
    await withStandInCrypto(async () => {
      const quote = quoteBy(pki, 1);
      expect(quote.subarray(0, SIGNED_BYTES)).toEqual(realQuote.subarray(0, SIGNED_BYTES));
      const verifier = new RememberingVerifier({ trustRoot });
      expect(verdict(verifier, quote)).toBe('none');
      expect(places.map((at) => verdict(verifier, flipped(quote, at)))).toEqual(expected);
    });
  });

  it('are refused with the signature over other report data, or of another platform', async () => {
    await withStandInCrypto(async () => {
      const [one, two, other] = [quoteBy(pki, 1), quoteBy(pki, 2), quoteBy(pki, 1, 1)];
      const verifier = new RememberingVerifier({ trustRoot });
      for (const quote of [one, two, other]) expect(verdict(verifier, quote)).toBe('none');
      for (const [signed, rest] of [
        [one, two],
        [two, one],
        [two, other],
      ] as const) {
        const spliced = Buffer.concat([signed.subarray(0, SIGNED_BYTES), rest.subarray(SIGNED_BYTES)]);
        expect(verdict(verifier, new Uint8Array(spliced))).toBe('QUOTE_SIGNATURE_INVALID');
      }
    });
  });

  it('are none outside, and a real signature is none inside', async () => {
    const realQuote = quoteBy(realPki, 3);
    const quote = await withStandInCrypto(async () => {
      const made = quoteBy(pki, 3);
      expect(verdict(new QuoteVerifier({ trustRoot }), realQuote)).toBe('QUOTE_SIGNATURE_INVALID');
      return made;
    });
    const verifier = new QuoteVerifier({ trustRoot });
    expect(verdict(verifier, quote)).toBe('QUOTE_SIGNATURE_INVALID');
    expect(verdict(verifier, realQuote)).toBe('none');
  });

  it('of another PKI are refused', async () => {
    await withStandInCrypto(async () => {
      const foreign = quoteBy(new SwiftPki(fill(99)), 1);
      expect(verdict(new RememberingVerifier({ trustRoot }), foreign)).not.toBe('none');
    });
  });
});

describe('the other stand-ins', () => {
  it('a MAC is of its key and of every byte, however the message is cut', async () => {
    await withStandInCrypto(async () => {
      const message = fill(5, 100);
      const mac = hmacSha256(fill(1), message);
      expect(hmacSha256(fill(1), message.subarray(0, 40), message.subarray(40))).toEqual(mac);
      for (const at of message.keys())
        expect(hmacSha256(fill(1), flipped(message, at)), `byte ${at}`).not.toEqual(mac);
      for (const at of fill(1).keys())
        expect(hmacSha256(flipped(fill(1), at), message), `byte ${at} of the key`).not.toEqual(mac);
      // The first byte of a message is no byte of the key.
      expect(hmacSha256(Uint8Array.of(...fill(1), 5), message.subarray(1))).not.toEqual(mac);
    });
  });

  it('an agreement is of two keys; a third one has another, and a point of small order none', async () => {
    await withStandInCrypto(async () => {
      const [a, b, c] = [generateX25519KeyPair(), generateX25519KeyPair(), generateX25519KeyPair()];
      const shared = a.privateKey.diffieHellman(b.publicKey);
      expect(shared).toHaveLength(32);
      expect(b.privateKey.diffieHellman(a.publicKey)).toEqual(shared);
      expect(c.privateKey.diffieHellman(a.publicKey)).not.toEqual(shared);
      expect(c.privateKey.diffieHellman(b.publicKey)).not.toEqual(shared);
      expect(a.privateKey.diffieHellman(flipped(b.publicKey, 7))).not.toEqual(shared);
      expect(a.privateKey.diffieHellman(new Uint8Array(32))).toBeUndefined();
      const again = x25519KeyPairFromSecret(a.privateKey.exportSecret());
      expect(again.publicKey).toEqual(a.publicKey);
      expect(again.privateKey.diffieHellman(b.publicKey)).toEqual(shared);
    });
  });

  it('a signature by Ed25519 is of its key and of every byte', async () => {
    await withStandInCrypto(async () => {
      const [signer, other] = [new Ed25519Signer(fill(1)), new Ed25519Signer(fill(2))];
      const message = fill(5, 100);
      const signature = signer.sign(message);
      other.sign(message);
      expect(ed25519Verify(message, signature, signer.publicKey)).toBe(true);
      expect(ed25519Verify(message, signature, other.publicKey)).toBe(false);
      for (const at of message.keys())
        expect(ed25519Verify(flipped(message, at), signature, signer.publicKey)).toBe(false);
      for (const at of signature.keys())
        expect(ed25519Verify(message, flipped(signature, at), signer.publicKey)).toBe(false);
    });
  });

  it('all is real again afterwards, also when the work failed', async () => {
    // RFC 4231 section 4.3.
    const derived = () => x25519KeyPairFromSecret(fill(9)).publicKey;
    const mac = () =>
      Buffer.from(hmacSha256(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?')));
    const known = [derived(), mac().toString('hex')];
    expect(known[1]).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    const failing = withStandInCrypto(async () => {
      expect([derived(), mac().toString('hex')]).not.toEqual(known);
      throw new RangeError('work');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect([derived(), mac().toString('hex')]).toEqual(known);
  });
});

/** What a thief is answered in a network of four. */
async function answerTo(theft: Theft, mode: SignatureMode): Promise<unknown> {
  const net = new SimulatedNetwork(931, mode);
  await net.form(4, { brief: true });
  const answers: unknown[] = [];
  net.world.wire.onExchange = ({ from, path, answer: { status, body } }) => {
    if (from !== 'thief' || path !== '/request-encryption-key') return;
    answers.push({ status, code: typeof body === 'object' && body !== null && Reflect.get(body, 'code') });
  };
  const [first] = net.nodes;
  if (first === undefined) throw new Error('a network has machines');
  await net.world.clock.until(attemptTheft(net, theft, first));
  expect(net.world.violations).toEqual([]);
  await net.close();
  expect(answers).toHaveLength(1);
  return answers[0];
}

describe('a thief in a network with stand-ins', () => {
  it.each(thefts)('gets the refusal of a real one with: %s', { timeout: 60_000 }, async (theft) => {
    const real = await answerTo(theft, 'once');
    expect(real).not.toMatchObject({ status: 200 });
    expect(await withStandInCrypto(() => answerTo(theft, 'stand-in'))).toEqual(real);
  });
});
