import type { AccountId, InstanceId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import type { X25519KeyPair } from '../crypto/x25519.ts';

/** The account, the registered key and the running instance of a key server. */
export interface ServerIdentity {
  readonly account: AccountId;
  readonly x25519: X25519KeyPair;
  readonly x25519PublicKey: X25519PublicKey;
  /** Drawn at every start. */
  readonly instanceId: InstanceId;
}
