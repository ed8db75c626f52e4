import { expect, it } from 'vitest';
import { AccountId, InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import {
  NEWS_NONCE_BYTES,
  type NotEnrolled,
  provesNotEnrolled,
  signNotEnrolled,
} from '../../../src/protocol/not-enrolled.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const seed = SecretBytes.adopt(seededBytes(1, 32));
const client = AccountId.of(sr25519PublicKey(seed.reveal()));
const server = AccountId.of(seededBytes(2, 32));
const nonce = seededBytes(3, NEWS_NONCE_BYTES);
const restarted: NotEnrolled = { client, server, instanceId: InstanceId.of(nonce) };
const draining: NotEnrolled = { client, server, nonce };

it.each([
  ['restarted', restarted, draining],
  ['drains', draining, restarted],
])('a statement about a server that %s proves itself, and no other', (_what, statement, otherNews) => {
  const signature = signNotEnrolled(seed, statement);
  expect(provesNotEnrolled(signature, statement)).toBe(true);
  expect(provesNotEnrolled(signature, otherNews)).toBe(false);
  expect(provesNotEnrolled(signature, { ...statement, server: client })).toBe(false);
  expect(provesNotEnrolled(signature, { ...statement, client: server })).toBe(false);
});

it('a statement about an earlier restart or drain proves nothing of a later one', () => {
  const later = seededBytes(4, NEWS_NONCE_BYTES);
  expect(
    provesNotEnrolled(signNotEnrolled(seed, restarted), { ...restarted, instanceId: InstanceId.of(later) }),
  ).toBe(false);
  expect(provesNotEnrolled(signNotEnrolled(seed, draining), { ...draining, nonce: later })).toBe(false);
});
