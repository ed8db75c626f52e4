import { expect, it } from 'vitest';
import { toBase64 } from '../../../../src/bytes/base64.ts';
import { X25519PublicKey } from '../../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../../src/bytes/hex.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { generateX25519KeyPair } from '../../../../src/crypto/x25519.ts';
import { openSecretDesk } from '../../../../src/node/ring/secret-desk.ts';
import { sealRequest } from '../../../../src/secrets/sealed-messages.ts';
import { UserIndex } from '../../../../src/secrets/service/user-index.ts';
import { MemoryStore } from '../../../support/memory-store.ts';
import { ALICE, BOB, NOW_MS, seedOf } from '../../../support/secret-records.ts';

type Desk = Parameters<typeof openSecretDesk>;

it('a host that sets its clock back brings no time back that the chain has passed', async () => {
  const x25519 = generateX25519KeyPair();
  const codes: string[] = [];
  let chainMs = NOW_MS;
  const rate = { burst: 9, perSecond: 9 };
  const relay = {
    allowAddresses: [],
    totalMs: 1,
    idleMs: 1,
    maxAnswerBytes: 1,
    maxConcurrent: 1,
    maxConcurrentPerUser: 1,
  };
  // What the desk reads of them, and nothing else.
  const config = { secrets: { users: 'all', relay, perUser: rate }, ring: {}, limits: {}, trust: {} };
  const parts = {
    random: systemRandom,
    clock: { nowMs: () => NOW_MS },
    log: () => undefined,
    metrics: { secretRequests: { inc: ({ code }: { code: string }) => codes.push(code) } },
  };
  const around = {
    node: { store: new MemoryStore(), identity: { account: BOB, x25519 } },
    membership: {},
    index: new UserIndex(),
    watch: { time: () => ({ chainMs }), endpoints: () => [] },
  };
  const { service } = await openSecretDesk(
    config as unknown as Desk[0],
    parts as unknown as Desk[1],
    around as unknown as Desk[2],
  );
  for (const laterMs of [0, 20_001]) {
    chainMs = NOW_MS + laterMs;
    const statement = {
      route: 'list',
      user: ALICE,
      node: BOB,
      timestampMs: NOW_MS,
      random: systemRandom(16),
    } as const;
    const node = X25519PublicKey.of(x25519.publicKey);
    const keys = { node, answerKey: generateX25519KeyPair(), seed: seedOf(1) };
    const { enc, ciphertext } = sealRequest(statement, new Uint8Array(0), keys).message;
    await service.answer('list', { enc: toPrefixedHex(enc), ciphertext: toBase64(ciphertext) }, 'r');
  }
  // The node has no place in a ring, which is asked after the time.
  expect(codes).toEqual(['RING_NOT_READY', 'SECRET_REQUEST_STALE']);
});
