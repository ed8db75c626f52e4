import { describe, expect, it } from 'vitest';
import { endNetwork, formedNetwork } from '../support/formed-network.ts';
import { stealKeys } from '../support/platform-thief.ts';

const LONG = { timeout: 120_000 };

/** A platform on which no machine of the network runs. */
const EXTRACTED = 60;

describe('a thief with the disk of a node, the network, and the attestation key of another machine', () => {
  it('without trust.platforms gets all keys', LONG, async () => {
    const { net, file, newest } = await formedNetwork(3101);
    expect(await stealKeys(net, file, EXTRACTED)).toEqual({ keys: newest.n, refusals: [] });
    await endNetwork(net);
  });
});
