import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { developmentMeasurements } from '../../mock-tdx/measurements.ts';
import { toBase64 } from '../../src/bytes/base64.ts';
import { AccountId, Nonce, SlotId, X25519PublicKey } from '../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { generateX25519KeyPair } from '../../src/crypto/x25519.ts';
import { type Intent, requestReportData } from '../../src/protocol/report-data.ts';
import type { SimulatedNetwork } from './simulated-network.ts';
import type { SimulatedNode } from './simulated-network-node.ts';

const foreignPki = createDevelopmentPki({ seed: new Uint8Array(32).fill(99) });
const debugAttributes = Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0);

/** What somebody without the right machine tries. */
export const thefts = [
  'quote of another PKI',
  'quote of another image',
  'quote under another trust section',
  'quote of a debug TD',
  'quote of another request',
  'genuine machine without the recovery token',
  'attestation key of one platform',
] as const;

/** One of {@link thefts}. */
export type Theft = (typeof thefts)[number];

/**
 * Invariant: a thief that knows everything that went over the wire and can make any quote but that of an accepted
 * machine gets no key; and an accepted machine gets none of another's.
 */
export async function attemptTheft(
  network: SimulatedNetwork,
  theft: Theft,
  from: SimulatedNode,
): Promise<void> {
  const { world } = network;
  const server = from.keyServer;
  const victim = [...(server?.vault.keys() ?? [])][0];
  if (server === undefined || victim === undefined) return;
  const patience = new AbortController();
  void world.clock.sleep(5_000).then(() => patience.abort());
  const send = (path: string, body: unknown) =>
    world.wire.transportFrom('thief').send(from.endpoint, path, body, patience.signal);
  const ephemeralPublicKey = X25519PublicKey.of(generateX25519KeyPair().publicKey);
  const accountId = encodeSs58(victim.account);
  const challenged = await send('/challenge', {
    accountId,
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
  });
  const { body } = challenged;
  if (challenged.status !== 200 || typeof body !== 'object' || body === null || !('nonce' in body)) return;
  // A genuine quote gets a key of its own, and must get none that another machine made.
  const isGenuine =
    theft === 'genuine machine without the recovery token' || theft === 'attestation key of one platform';
  const intent: Intent = isGenuine ? 'recover' : 'create';
  const addressed = {
    server: AccountId.of(server.identity.account),
    nonce: Nonce.parse(String(body.nonce), 'nonce'),
    slotId: intent === 'recover' ? victim.slotId : SlotId.of(world.dice.bytes(16)),
  };
  const reportData = requestReportData({
    account: victim.account,
    ephemeralPublicKey,
    intent,
    servers: [addressed],
  });
  const answer = await send('/request-encryption-key', {
    accountId,
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
    intent,
    servers: [
      {
        server: encodeSs58(addressed.server),
        nonce: toPrefixedHex(addressed.nonce),
        slotId: toPrefixedHex(addressed.slotId),
      },
    ],
    quote: quoteFor(network, theft, reportData),
  });
  const misbehaves = (world.wire.misbehaviour.get(from.endpoint) ?? 'none') !== 'none';
  if (answer.status === 200 && !misbehaves) world.fail(`${from.name} gave a key for: ${theft}`);
}

function quoteFor({ world }: SimulatedNetwork, theft: Theft, reportData: Uint8Array): string {
  const { pki, body } = world;
  const request = { reportData, platform: 50 };
  switch (theft) {
    case 'quote of another PKI':
      return toBase64(foreignPki.quote({ ...request, body }));
    case 'quote of another image':
      return toBase64(pki.quote({ ...request, body: { ...body, rtMr2: new Uint8Array(48).fill(9) } }));
    case 'quote under another trust section':
      return toBase64(pki.quote({ ...request, body: developmentMeasurements }));
    case 'quote of a debug TD':
      return toBase64(pki.quote({ ...request, body: { ...body, tdAttributes: debugAttributes } }));
    case 'quote of another request':
      return [...world.genuineQuotes.keys()][0] ?? '';
    case 'attestation key of one platform':
      return toBase64(pki.quote({ reportData, platform: 60, body }));
    case 'genuine machine without the recovery token': {
      const quote = toBase64(pki.quote({ ...request, body }));
      world.genuineQuotes.set(quote, 'thief');
      return quote;
    }
  }
}
