import { expect, it } from 'vitest';
import { toBase64 } from '../../../../src/bytes/base64.ts';
import { BlockHash, X25519PublicKey } from '../../../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../../../src/bytes/hex.ts';
import { systemRandom } from '../../../../src/crypto/random.ts';
import { sr25519Verify } from '../../../../src/crypto/sr25519.ts';
import { generateX25519KeyPair } from '../../../../src/crypto/x25519.ts';
import { ProblemError } from '../../../../src/errors/latchkey-error.ts';
import { openSecretDesk } from '../../../../src/node/ring/secret-desk.ts';
import { placeMember } from '../../../../src/ring/placement/member.ts';
import { Placement } from '../../../../src/ring/placement/placement.ts';
import { signRecord } from '../../../../src/secrets/record.ts';
import { sealRequest } from '../../../../src/secrets/sealed-messages.ts';
import { UserIndex } from '../../../../src/secrets/service/user-index.ts';
import type { SecretRoute } from '../../../../src/secrets/signed-request.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../../../../src/secrets/value.ts';
import { MemoryStore } from '../../../support/memory-store.ts';
import { ALICE, BOB, NOW_MS, secretContent, seedOf } from '../../../support/secret-records.ts';

type Desk = Parameters<typeof openSecretDesk>;

/** A desk of Bob's node, and requests of Alice to it by the time of the chain at the start. */
async function openDesk(membership: object) {
  const x25519 = generateX25519KeyPair();
  const codes: string[] = [];
  const chain = { chainMs: NOW_MS };
  const rate = { burst: 9, perSecond: 9 };
  const relay = {
    allowAddresses: [],
    totalMs: 1,
    idleMs: 1,
    maxAnswerBytes: 1,
    maxConcurrent: 1,
    maxConcurrentPerUser: 1,
    maxConcurrentPerOwner: 1,
  };
  const bounds = { maxRecords: 9, maxRecordsPerUser: 9, maxBytesPerUser: 9_999 };
  // What the desk reads of them, and nothing else.
  const config = { secrets: { users: 'all', relay, perUser: rate, ...bounds }, limits: {}, trust: {} };
  const parts = {
    random: systemRandom,
    clock: { nowMs: () => NOW_MS },
    log: () => undefined,
    metrics: { secretRequests: { inc: ({ code }: { code: string }) => codes.push(code) } },
  };
  const around = {
    node: { store: new MemoryStore(), identity: { account: BOB, x25519 } },
    membership,
    index: new UserIndex(),
    isSigned: sr25519Verify,
    watch: { time: () => chain, endpoints: () => [] },
  };
  const { service } = await openSecretDesk(
    config as unknown as Desk[0],
    parts as unknown as Desk[1],
    around as unknown as Desk[2],
  );
  return {
    codes,
    chain,
    async send(route: SecretRoute, body: Uint8Array): Promise<void> {
      const random = systemRandom(16);
      const statement = { route, user: ALICE, node: BOB, timestampMs: NOW_MS, random } as const;
      const node = X25519PublicKey.of(x25519.publicKey);
      const keys = { node, answerKey: generateX25519KeyPair(), seed: seedOf(1) };
      const { enc, ciphertext } = sealRequest(statement, body, keys).message;
      await service.answer(route, { enc: toPrefixedHex(enc), ciphertext: toBase64(ciphertext) }, 'r');
    },
  };
}

it('a host that sets its clock back brings no time back that the chain has passed', async () => {
  const { codes, chain, send } = await openDesk({});
  for (const laterMs of [0, 20_001]) {
    chain.chainMs = NOW_MS + laterMs;
    await send('list', new Uint8Array(0));
  }
  // The node has no place in a ring, which is asked after the time.
  expect(codes).toEqual(['RING_NOT_READY', 'SECRET_REQUEST_STALE']);
});

it('a secret is written where the store of the node has room for it', async () => {
  const own = placeMember({
    account: BOB,
    stash: BOB,
    platform: 'p',
    anchor: BlockHash.of(new Uint8Array(32)),
  });
  const written: Uint8Array[] = [];
  const salted = saltValue(new Uint8Array(9), systemRandom);
  const record = signRecord(seedOf(1), secretContent({ valueHash: hashValue(salted) }));
  const entry = encodeEntry(secretEntry(record, salted));
  const membership = {
    node: {
      view: { placement: new Placement([own]) },
      read: async () => ({ entry: undefined }),
      write: async (bytes: Uint8Array) => {
        written.push(bytes);
        return { kind: 'written' };
      },
    },
    requireRoom: async (id: string, bytes: number) => {
      expect([id, bytes]).toEqual([toHex(record.id), entry.length]);
      if (written.length > 0) throw new ProblemError('RING_FULL', 'no room');
    },
  };
  const { codes, send } = await openDesk(membership);
  await send('deploy', entry);
  await send('deploy', entry);
  expect(codes).toEqual(['ok', 'RING_FULL']);
  expect(written).toHaveLength(1);
});
