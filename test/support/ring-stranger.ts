import { concatBytes, utf8 } from '../../src/bytes/concat.ts';
import { AccountId, BlockHash, InstanceId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { peerDigest } from '../../src/channel/attested-peer.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { generateEphemeralX25519KeyPair } from '../../src/crypto/x25519.ts';
import { sealAuth } from '../../src/hpke/hpke.ts';
import { type AttestationMessage, decodeAttestation } from '../../src/protocol/attestation.ts';
import { openRequestToWire } from '../../src/protocol/channel-opening.ts';
import { attestationReportData } from '../../src/protocol/report-data.ts';
import { HttpQuoteSource } from '../../src/quote-source/http-quote-source.ts';

/** What a node said to a stranger. */
export interface StrangerAnswer {
  readonly what: string;
  readonly status: number;
}

/** Each try of a stranger that was answered as if it were a member. */
export const judgeStranger = (answers: readonly StrangerAnswer[]): readonly string[] =>
  answers
    .filter(({ status }) => status < 400)
    .map(({ what, status }) => `I6: ${what} was answered with ${status}`);

/**
 * Somebody with a genuine machine who is no member of the ring: asks a member for a channel in its own name, and in the name
 * of another member, and sends a message without a channel.
 * @param urls of the asked node, of another member, and of mock-tdx.
 */
export async function knockAsStranger(urls: {
  readonly asked: string;
  readonly other: string;
  readonly mockTdx: string;
}): Promise<readonly StrangerAnswer[]> {
  const attestationOf = async (url: string): Promise<AttestationMessage> =>
    decodeAttestation(await (await fetch(`${url}/attestation`)).json(), 'attestation');
  const [responder, member] = [await attestationOf(urls.asked), await attestationOf(urls.other)];
  const keyPair = generateEphemeralX25519KeyPair();
  const own = {
    server: AccountId.of(systemRandom(32)),
    x25519PublicKey: X25519PublicKey.of(keyPair.publicKey),
    instanceId: InstanceId.of(systemRandom(16)),
    finalized: { number: responder.finalized.number, hash: BlockHash.of(responder.finalized.hash) },
  };
  const quotes = new HttpQuoteSource({ url: urls.mockTdx, platform: 999 });
  const genuine = { ...own, quote: await quotes.quote(attestationReportData(own)) };
  const open = async (what: string, attestation: AttestationMessage): Promise<StrangerAnswer> => {
    const message = sealAuth({
      plaintext: systemRandom(32),
      aad: new Uint8Array(0),
      info: concatBytes(utf8('latchkey/v1/channel/open\0'), peerDigest(attestation), peerDigest(responder)),
      recipientPublicKey: responder.x25519PublicKey,
      senderKeyPair: keyPair,
    });
    const body = openRequestToWire({ attestation, responder: peerDigest(responder), message });
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return { what, status: (await fetch(`${urls.asked}/ring/open`, init)).status };
  };
  const session = toHex(systemRandom(16));
  const body = new Uint8Array(systemRandom(200));
  const sent = await fetch(`${urls.asked}/ring/message/${session}`, { method: 'POST', body });
  return [
    await open('a channel for an account that is not registered', genuine),
    await open('a channel in the name of a member, without its key', member),
    { what: 'a message without a channel', status: sent.status },
  ];
}
