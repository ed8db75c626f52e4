import { expect, it } from 'vitest';
import { X25519PublicKey } from '../../../../src/bytes/fixed-bytes.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { generateX25519KeyPair } from '../../../../src/crypto/x25519.ts';
import type { Fetch } from '../../../../src/outbound/bounded-fetch.ts';
import { NodeExchange } from '../../../../src/secrets/client/node-exchange.ts';
import { ALICE, BOB, NOW_MS, seedOf } from '../../../support/secret-records.ts';

it.each<[string, Fetch, string, timeoutMs?: number]>([
  ['there is no connection', () => Promise.reject(new Error('refused')), 'refused'],
  [
    'another service answers',
    async () => new Response('<html>', { status: 502 }),
    'status 502, not sealed by this node',
  ],
  ['nothing comes in time', () => new Promise(() => undefined), 'no complete answer within 30 ms', 30],
])('a client is told why a node did not answer: %s', async (_, fetch, observed, timeoutMs = 60_000) => {
  const owner = { account: ALICE, seed: seedOf(1) };
  const exchange = new NodeExchange({ owner, fetch, random: systemRandom, now: () => NOW_MS, timeoutMs });
  const x25519PublicKey = X25519PublicKey.of(generateX25519KeyPair().publicKey);
  const node = { account: BOB, x25519PublicKey, endpoint: 'node.test:1' };
  await expect(exchange.ask(node, 'list', new Uint8Array(0))).rejects.toMatchObject({
    code: 'NODE_UNREACHABLE',
    message: 'node.test:1 did not answer',
    observed,
  });
});
