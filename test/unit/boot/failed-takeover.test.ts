import { afterEach, expect, it, vi } from 'vitest';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { copyBytes } from '../../../src/bytes/copy-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { endNetwork, formedNetwork } from '../../support/formed-network.ts';

afterEach(() => vi.restoreAllMocks());

it('an opening that fails after the identity was read wipes the account seed', {
  timeout: 120_000,
}, async () => {
  const { net, node } = await formedNetwork(941, 4);
  const seed = copyBytes(node.open?.identity.accountSeed.reveal() ?? new Uint8Array());
  await net.world.clock.until(node.stop());
  const read: SecretBytes[] = [];
  const adopt = SecretBytes.adopt;
  vi.spyOn(SecretBytes, 'adopt').mockImplementation((bytes) => {
    const isSeed = equalBytes(bytes, seed);
    const secret = adopt(bytes);
    if (isSeed) read.push(secret);
    return secret;
  });
  vi.spyOn(OlderGenerations, 'open').mockRejectedValueOnce(new Error('the disk failed'));
  node.start();
  for (let waited = 0; node.state.name !== 'backed' && waited < 60_000; waited += 250) {
    await net.world.clock.advance(250);
  }
  expect(node.state.name).toBe('backed');
  expect(read).toHaveLength(2);
  expect(() => read[0]?.reveal()).toThrow('wiped');
  expect(read[1]?.reveal()).toEqual(seed);
  await endNetwork(net);
});
