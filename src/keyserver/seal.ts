import type { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import type { AccountId, InstanceId } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sealAuth } from '../hpke/hpke.ts';
import type { keyAnswer } from '../protocol/decode.ts';
import type { Extensions } from '../protocol/extensions.ts';
import type { BlockReference } from '../protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../protocol/sealed-key.ts';
import type { Grant } from './grant.ts';
import type { ServerIdentity } from './server-identity.ts';

const proofKey = Symbol('sealGrant');

/** Proof that a granted key is sealed to the ephemeral key that its quote binds. Made by {@link sealGrant} only. */
export class SealedKey {
  readonly server: AccountId;
  readonly instanceId: InstanceId;
  // As text: thousands of answers are kept, and a text costs the garbage collector less than an array.
  readonly #enc: string;
  readonly #ciphertext: string;

  constructor(
    key: typeof proofKey,
    { account, instanceId }: ServerIdentity,
    sealed: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array },
  ) {
    if (key !== proofKey) throw new TypeError('a SealedKey is made by sealGrant only');
    this.server = account;
    this.instanceId = instanceId;
    this.#enc = toPrefixedHex(sealed.enc);
    this.#ciphertext = toBase64(sealed.ciphertext);
    Object.freeze(this);
  }

  /** The answer of `POST /request-encryption-key`. */
  toWire(): z.output<typeof keyAnswer> {
    return {
      server: encodeSs58(this.server),
      instanceId: toPrefixedHex(this.instanceId),
      enc: this.#enc,
      ciphertext: this.#ciphertext,
    };
  }
}

/** The facts about the server that it seals together with the key. */
export interface ServerView {
  readonly nowMs: number;
  readonly finalized: BlockReference;
  readonly extensions: Extensions;
}

/** Seals a key by HPKE auth mode, from the server's registered key to the ephemeral key that the quote binds. */
export function sealGrant(
  { bound, key, created, givesToken, lineage }: Grant,
  identity: ServerIdentity,
  { nowMs, finalized, extensions }: ServerView,
): SealedKey {
  const plaintext = encodeKeyGrant({
    key: key.key,
    keyId: key.keyId,
    created,
    createdAtMs: key.createdAtMs,
    recoveryToken: givesToken ? key.recoveryToken : undefined,
    serverTimeMs: nowMs,
    finalized,
    lineage,
    extensions,
  });
  try {
    const sealed = sealAuth({
      recipientPublicKey: bound.request.ephemeralPublicKey,
      senderKeyPair: identity.x25519,
      info: sealedKeyInfo(identity.account, bound.request.account),
      aad: sealedKeyAad(bound.reportData, identity.instanceId),
      plaintext,
    });
    return new SealedKey(proofKey, identity, sealed);
  } finally {
    plaintext.fill(0);
  }
}
