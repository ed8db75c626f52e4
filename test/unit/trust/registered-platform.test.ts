import { describe, expect, it } from 'vitest';
import { AccountId, Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { QuoteVerifier } from '../../../src/tdx/verify-quote.ts';
import { provenPlatform } from '../../../src/trust/registered-platform.ts';
import { registrationReportData } from '../../../src/trust/registration.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';
import { plainQuote, trustRoot, worldNowMs } from '../../support/tdx-world.ts';

const account = AccountId.of(seededBytes(1, 32));
const x25519PublicKey = X25519PublicKey.of(seededBytes(2, 32));
const reportData = registrationReportData(account, x25519PublicKey, 0, Nonce.of(new Uint8Array(32)));
const record = { account, x25519PublicKey, quote: plainQuote({ reportData, platform: 3 }) };
const verifier = new QuoteVerifier({ trustRoot });
const proven = (changes: Partial<typeof record>) =>
  provenPlatform({ ...record, ...changes }, verifier, worldNowMs);

describe('the platform that a record proves', () => {
  it('is that of its quote', () => {
    expect(proven({})).toHaveLength(16);
    expect(proven({ quote: plainQuote({ reportData, platform: 4 }) })).not.toEqual(proven({}));
  });

  it('is none when the quote binds another account, or another key', () => {
    expect(proven({ account: AccountId.of(seededBytes(3, 32)) })).toBeUndefined();
    expect(proven({ x25519PublicKey: X25519PublicKey.of(seededBytes(3, 32)) })).toBeUndefined();
  });

  it('is none when the quote is cut, or signed by nobody', () => {
    expect(proven({ quote: record.quote.subarray(0, 100) })).toBeUndefined();
    expect(proven({ quote: record.quote.with(300, (record.quote[300] ?? 0) ^ 1) })).toBeUndefined();
  });

  it('is not hidden by a fault of the verifier', () => {
    const broken = new QuoteVerifier({ trustRoot });
    broken.verifyChainOnly = () => {
      throw new TypeError('a fault');
    };
    expect(() => provenPlatform(record, broken, worldNowMs)).toThrow(TypeError);
  });
});
