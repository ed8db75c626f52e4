import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { makeCustodianKey, openCustodianKey, sealCustodianKey } from '../../../src/custody/custodian-key.ts';
import { defaultScryptCost } from '../../../src/store/keys/password.ts';

const passphrase = new SecretBytes(Buffer.from('three words here'));
const key = makeCustodianKey(systemRandom);
const text = await sealCustodianKey(key, passphrase, { cost: defaultScryptCost });

describe('the key file of a custodian', () => {
  it('opens with its passphrase only', async () => {
    const opened = await openCustodianKey(text, passphrase);
    expect(opened.seed.equals(key.seed)).toBe(true);
    expect(opened.publicKey).toEqual(key.publicKey);
    const wrong = new SecretBytes(Buffer.from('three words'));
    await expect(openCustodianKey(text, wrong)).rejects.toMatchObject({ code: 'STORE_PASSWORD_WRONG' });
  });

  it('is refused with another public key than that of its seed', async () => {
    const other = await sealCustodianKey(
      { seed: key.seed, publicKey: makeCustodianKey(systemRandom).publicKey },
      passphrase,
      { cost: defaultScryptCost },
    );
    await expect(openCustodianKey(other, passphrase)).rejects.toMatchObject({
      code: 'CUSTODY_BLOCK_MALFORMED',
    });
  });

  it('holds no seed in clear', () => {
    const inside = Buffer.from(text.split('\n').slice(1, -2).join(''), 'base64').toString('latin1');
    expect(inside).not.toContain(Buffer.from(key.seed.reveal()).toString('hex'));
    expect(inside).not.toContain(Buffer.from(key.seed.reveal()).toString('latin1'));
  });
});
