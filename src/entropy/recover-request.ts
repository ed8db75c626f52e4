import { z } from 'zod';
import { equalBytes } from '../bytes/concat.ts';
import { AccountId, Nonce, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { accountText, parseWire } from '../protocol/decode.ts';
import { parseQuote, type Quote } from '../tdx/quote.ts';
import { MAX_QUOTE_BYTES } from '../tdx/quote-layout.ts';
import { registrationContext, registrationReportData } from '../trust/registration.ts';
import type { QuoteNonces } from './quote-nonces.ts';

const byte = z.int().min(0).max(255);

/** Body of `POST /v1/backup_provider_quote_nonce`: an X25519 public key as 32 numbers. */
export const responseKeyBody = z.array(byte).length(X25519PublicKey.byteLength);

/** Body of `POST /v1/recover_encryption_key`. */
export const recoverBody = z.strictObject({
  tss_account: accountText,
  response_key: responseKeyBody,
  quote: z.array(byte).min(1).max(MAX_QUOTE_BYTES).meta({ description: 'TDX quote, version 4 or 5' }),
});

/** `POST /v1/recover_encryption_key`, decoded; none of its values is proved. */
interface RecoverRequest {
  readonly account: AccountId;
  readonly responseKey: X25519PublicKey;
  readonly quote: Uint8Array;
}

/** The key that an answer is sealed to. @throws EvidenceError FIELD_INVALID. */
export const decodeResponseKey = (body: unknown): X25519PublicKey =>
  X25519PublicKey.of(Uint8Array.from(parseWire(responseKeyBody, body)));

/** Decodes the body of `POST /v1/recover_encryption_key`. @throws EvidenceError FIELD_INVALID. */
export function decodeRecoverRequest(body: unknown): RecoverRequest {
  const wire = parseWire(recoverBody, body);
  return {
    account: AccountId.parse(wire.tss_account, 'tss_account'),
    responseKey: X25519PublicKey.of(Uint8Array.from(wire.response_key)),
    quote: Uint8Array.from(wire.quote),
  };
}

const proofKey = Symbol('bindRecovery');

/** Proof that the quote of a request names its account, its key and a young nonce. Made by {@link bindRecovery} only. */
export class BoundRecovery {
  readonly account: AccountId;
  readonly quote: Quote;
  readonly nonce: Nonce;
  readonly #responseKey: X25519PublicKey;

  constructor(
    key: typeof proofKey,
    parts: Pick<BoundRecovery, 'account' | 'responseKey' | 'quote' | 'nonce'>,
  ) {
    if (key !== proofKey) throw new TypeError('a BoundRecovery is made by bindRecovery only');
    this.account = parts.account;
    this.quote = parts.quote;
    this.nonce = parts.nonce;
    this.#responseKey = parts.responseKey;
    Object.freeze(this);
  }

  get responseKey(): X25519PublicKey {
    return this.#responseKey;
  }
}

/**
 * Reads the nonce out of the report data of the quote, and checks that the rest names account and response key:
 * BLAKE2s-256(account ‖ key ‖ 0x03) ‖ nonce.
 * @throws EvidenceError QUOTE_…, QUOTE_NONCE_INVALID, QUOTE_NONCE_EXPIRED, REPORT_DATA_MISMATCH.
 */
export function bindRecovery(
  { account, responseKey, quote: bytes }: RecoverRequest,
  nonces: QuoteNonces,
  nowMs: number,
): BoundRecovery {
  const quote = parseQuote(bytes);
  const { reportData } = quote.body;
  const nonce = Nonce.of(reportData.subarray(reportData.length - Nonce.byteLength));
  nonces.check(nonce, responseKey, nowMs);
  const context = registrationContext.encryptionKeyRecovery;
  if (!equalBytes(reportData, registrationReportData(account, responseKey, context, nonce))) {
    throw new EvidenceError('REPORT_DATA_MISMATCH', 'the quote does not name this account and response key', {
      field: 'quote report data, bytes 0 to 31',
      expected: 'BLAKE2s-256(account ‖ response key ‖ 0x03)',
      observed: 'another value',
    });
  }
  return new BoundRecovery(proofKey, { account, responseKey, quote, nonce });
}
