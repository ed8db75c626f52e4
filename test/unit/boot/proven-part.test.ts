import { describe, expect, it } from 'vitest';
import { provenPart } from '../../../src/boot/obtain/proven-part.ts';
import { AccountId, InstanceId, KeyId, SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { buildGeneration, dropOlder, firstFile } from '../../../src/keyslots/generations.ts';
import { aLineageSecret } from '../../support/lineages.ts';

const identity = { account: AccountId.of(systemRandom(32)), storeId: systemRandom(16) };

async function generationOf(number: number, storeKey: SecretBytes) {
  const enrolled = [1, 2, 3].map(() => ({
    server: AccountId.of(systemRandom(32)),
    slotId: SlotId.of(systemRandom(16)),
    keyId: KeyId.of(systemRandom(16)),
    key: new SecretBytes(systemRandom(32)),
    recoveryToken: new SecretBytes(systemRandom(32)),
    instanceId: InstanceId.of(systemRandom(16)),
  }));
  const quorum = { t: 2, n: 3 };
  const lineageSecret = aLineageSecret();
  const input = { ...identity, storeKey, lineageSecret, generation: number, quorum, enrolled };
  return buildGeneration(input, systemRandom);
}

describe('the proven part of a keyslot file', () => {
  it('excludes a generation that the host forged, so that it cannot displace the real one', async () => {
    const storeKey = new SecretBytes(systemRandom(32));
    const real = await generationOf(1, storeKey);
    const made = await generationOf(2, new SecretBytes(systemRandom(32)));
    const forged = { ...made, slots: made.slots.map((slot) => ({ ...slot, confirmed: true })) };
    const file = { ...firstFile(identity, real), generations: [forged, real] as const };
    expect(dropOlder(file).file.generations.map(({ generation }) => generation)).toEqual([2]);
    expect(provenPart(file, storeKey).generations).toEqual([real]);
  });

  it('keeps both generations that the store key signed', async () => {
    const storeKey = new SecretBytes(systemRandom(32));
    const [older, newer] = [await generationOf(1, storeKey), await generationOf(2, storeKey)];
    const file = { ...firstFile(identity, older), generations: [newer, older] as const };
    expect(provenPart(file, storeKey).generations).toEqual([newer, older]);
  });
});
