import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { attestPeer } from '../../src/channel/attested-peer.ts';
import type { OwnEnd } from '../../src/channel/handshake.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { type AttestationParameters, attestationReportData } from '../../src/protocol/report-data.ts';
import { parseQuote } from '../../src/tdx/quote.ts';
import type { KeyServerWorld } from './key-server-fixture.ts';

const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);

/** What the attestation of a node in tests says; its secret is 32 times the byte. */
export const attestedBy = (byte: number, instance = byte): AttestationParameters => ({
  server: AccountId.of(filled(byte)),
  x25519PublicKey: X25519PublicKey.of(x25519KeyPairFromSecret(filled(byte)).publicKey),
  instanceId: InstanceId.of(filled(instance, 16)),
  finalized: { number: 7, hash: BlockHash.of(filled(9)) },
});

/** One end of a channel, with a genuine quote; its random bytes are one byte, counted up. */
export async function channelEnd(world: KeyServerWorld, byte: number, instance = byte): Promise<OwnEnd> {
  const attested = attestedBy(byte, instance);
  const quote = parseQuote(world.quote({ reportData: attestationReportData(attested) }));
  let drawn = 16 * byte;
  return {
    peer: attestPeer(attested, await world.evidenceVerifier.verify(quote)),
    keyPair: x25519KeyPairFromSecret(filled(byte)),
    random: (length) => filled(drawn++, length),
  };
}
