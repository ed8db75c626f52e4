import { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { sr25519PublicKey } from '../../src/crypto/sr25519.ts';
import type { Acl } from '../../src/secrets/acl.ts';
import type { SecretContent } from '../../src/secrets/record.ts';

export const NOW_MS = 1_800_000_000_000;

/** Seeds of users in tests: 32 times one byte. */
export const seedOf = (byte: number): SecretBytes => new SecretBytes(new Uint8Array(32).fill(byte));
const accountOf = (byte: number): AccountId => AccountId.of(sr25519PublicKey(seedOf(byte).reveal()));
export const ALICE = accountOf(1);
export const BOB = accountOf(2);

/** An ACL that lets Alice do what she likes by https. */
export const aclOf = (change: Partial<Acl> = {}): Acl => ({
  callers: [ALICE],
  verbs: ['GET', 'POST'],
  paths: ['/v1/**'],
  headers: ['authorization'],
  body: false,
  plainHttp: false,
  expiresAtMs: undefined,
  limit: undefined,
  ...change,
});

type Secret = Extract<SecretContent, { kind: 'secret' }>;

/** A secret of Alice. */
export const secretContent = (change: Partial<Secret> = {}): Secret => ({
  kind: 'secret',
  account: ALICE,
  origin: 'https://api.example.com',
  pathPrefix: '/v1',
  version: 1,
  expiresAtMs: NOW_MS + 365 * 86_400_000,
  valueHash: new Uint8Array(32).fill(3),
  acl: aclOf(),
  ...change,
});

/** The end of that secret. */
export const tombstoneContent = (change: { readonly version?: number } = {}): SecretContent => {
  const { account, origin, pathPrefix, expiresAtMs } = secretContent();
  return { kind: 'tombstone', account, origin, pathPrefix, expiresAtMs, version: 2, ...change };
};
