import { describe, expect, it } from 'vitest';
import { AccountId, Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { readU64BigEndian } from '../../../src/bytes/integers.ts';
import { ChallengeIssuer } from '../../../src/protocol/challenge.ts';
import { countingRandom } from '../../support/key-server-fixture.ts';
import { codeOf } from '../../support/thrown.ts';

const account = AccountId.of(new Uint8Array(32).fill(1));
const other = AccountId.of(new Uint8Array(32).fill(2));
const ephemeral = X25519PublicKey.of(new Uint8Array(32).fill(3));
const NOW = 1_795_262_400_000;

const issuer = new ChallengeIssuer({ random: countingRandom(1) });
const issued = issuer.issue(account, ephemeral, NOW);
const check = (nonce: Nonce, atMs: number, who = account, key = ephemeral): string =>
  codeOf(() => issuer.check(nonce, who, key, atMs));

describe('challenges', () => {
  it('carry their issue time and live 60 seconds', () => {
    expect(readU64BigEndian(issued.nonce)).toBe(BigInt(NOW));
    expect(issued.expiresAtMs).toBe(NOW + 60_000);
    expect(check(issued.nonce, NOW)).toBe('none');
    expect(check(issued.nonce, issued.expiresAtMs)).toBe('none');
    expect(check(issued.nonce, issued.expiresAtMs + 1)).toBe('CHALLENGE_EXPIRED');
  });

  it('stay valid when the clock is set back a little, and not more', () => {
    expect(check(issued.nonce, NOW - 60_000)).toBe('none');
    expect(check(issued.nonce, NOW - 60_001)).toBe('CHALLENGE_EXPIRED');
  });

  it('are valid for one account and one ephemeral key', () => {
    expect(check(issued.nonce, NOW, other)).toBe('CHALLENGE_INVALID');
    const key = X25519PublicKey.of(new Uint8Array(32).fill(4));
    expect(check(issued.nonce, NOW, account, key)).toBe('CHALLENGE_INVALID');
  });

  it('are valid in one process only', () => {
    const restarted = new ChallengeIssuer({ random: countingRandom(2) });
    expect(codeOf(() => restarted.check(issued.nonce, account, ephemeral, NOW))).toBe('CHALLENGE_INVALID');
  });

  it('are invalid with any flipped bit', () => {
    for (let bit = 0; bit < 256; bit++) {
      const nonce = Nonce.of(issued.nonce.with(bit >> 3, (issued.nonce[bit >> 3] ?? 0) ^ (1 << (bit & 7))));
      expect(check(nonce, NOW)).toBe('CHALLENGE_INVALID');
    }
  });

  it('with an old time and a wrong MAC are invalid, not expired', () => {
    expect(check(Nonce.of(new Uint8Array(32)), NOW)).toBe('CHALLENGE_INVALID');
  });

  it('are invalid after the secret is wiped', () => {
    const wiped = new ChallengeIssuer({ random: countingRandom(3) });
    const { nonce } = wiped.issue(account, ephemeral, NOW);
    wiped.wipe();
    expect(() => wiped.check(nonce, account, ephemeral, NOW)).toThrow(TypeError);
  });
});
