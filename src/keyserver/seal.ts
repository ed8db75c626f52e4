import type { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sealAuth } from '../hpke/hpke.ts';
import type { BlockReference } from '../protocol/report-data.ts';
import { encodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../protocol/sealed-key.ts';
import type { keyAnswer } from '../protocol/decode.ts';
import type { ServerIdentity } from './key-server.ts';
import type { Grant } from './grant.ts';

/** The envelope: HPKE auth mode from the server's registered key to the ephemeral key that the quote binds. */
export function sealGrant(
  { bound, key, created, giveToken }: Grant,
  identity: ServerIdentity,
  finalized: BlockReference,
  nowMs: number,
): z.output<typeof keyAnswer> {
  const plaintext = encodeKeyGrant({
    key: key.key,
    keyId: key.keyId,
    created,
    createdAtMs: key.createdAtMs,
    recoveryToken: giveToken ? key.recoveryToken : undefined,
    serverTimeMs: nowMs,
    finalized,
    incarnation: key.incarnation,
    head: key.head,
  });
  try {
    const { enc, ciphertext } = sealAuth({
      recipientPublicKey: bound.request.ephemeralPublicKey,
      senderKeyPair: identity.x25519,
      info: sealedKeyInfo(identity.account, bound.request.account),
      aad: sealedKeyAad(bound.reportData, identity.instanceId),
      plaintext,
    });
    return {
      server: encodeSs58(identity.account),
      instanceId: toPrefixedHex(identity.instanceId),
      enc: toPrefixedHex(enc),
      ciphertext: toBase64(ciphertext),
    };
  } finally {
    plaintext.fill(0);
  }
}
