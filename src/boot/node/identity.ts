import { AccountId, X25519PublicKey } from '../../bytes/fixed-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { sr25519PublicKey } from '../../crypto/sr25519.ts';
import { type X25519KeyPair, x25519KeyPairFromSecret } from '../../crypto/x25519.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Store } from '../../store/api/store-api.ts';
import { bootRecords, LINEAGE_NAMESPACE } from './boot-record.ts';

const NAMESPACE = 'latchkey/identity';
const ACCOUNT_SEED = 'sr25519-seed';
const X25519_SECRET = 'x25519-secret';

/** The identity of a node. Both secrets are kept in its sealed store only. */
export interface NodeIdentity {
  readonly account: AccountId;
  /** sr25519 mini secret key, 32 bytes. */
  readonly accountSeed: SecretBytes;
  readonly x25519: X25519KeyPair;
  readonly x25519PublicKey: X25519PublicKey;
}

/** Takes ownership of both secrets: the identity keeps the seed, and only OpenSSL keeps the other secret. */
function identityOf(seed: Uint8Array, x25519Secret: Uint8Array): NodeIdentity {
  const x25519 = x25519KeyPairFromSecret(x25519Secret);
  x25519Secret.fill(0);
  return {
    account: AccountId.of(sr25519PublicKey(seed)),
    accountSeed: SecretBytes.adopt(seed),
    x25519,
    x25519PublicKey: X25519PublicKey.of(x25519.publicKey),
  };
}

/**
 * Makes a new identity and puts it into the store, both secrets in one batch with the record of the boot that makes it.
 */
export async function createIdentity(
  store: Store,
  random: RandomSource,
  incarnation: Incarnation,
  leaseMs?: number,
): Promise<NodeIdentity> {
  const seed = random(32);
  const x25519Secret = random(32);
  await store.namespace(NAMESPACE);
  await store.namespace(LINEAGE_NAMESPACE);
  await store.batch([
    { kind: 'expect', namespace: NAMESPACE, name: ACCOUNT_SEED, value: undefined },
    { kind: 'put', namespace: NAMESPACE, name: ACCOUNT_SEED, value: seed },
    { kind: 'put', namespace: NAMESPACE, name: X25519_SECRET, value: x25519Secret },
    ...bootRecords(incarnation, leaseMs),
  ]);
  return identityOf(seed, x25519Secret);
}

/**
 * Reads the identity of a node from its store.
 * @throws ProblemError IDENTITY_MISSING when the store holds none: it is not a node's store.
 */
export async function readIdentity(store: Store): Promise<NodeIdentity> {
  const namespace = await store.namespace(NAMESPACE);
  const seed = await namespace.get(ACCOUNT_SEED);
  const x25519Secret = await namespace.get(X25519_SECRET);
  if (seed === undefined || x25519Secret === undefined) {
    throw new ProblemError('IDENTITY_MISSING', 'the store opened, but holds no node identity', {
      hint: 'is this the store of a node? nothing was changed',
    });
  }
  return identityOf(seed, x25519Secret);
}
