import { utf8 } from '../src/bytes/concat.ts';
import { AccountId } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { Ed25519Signer } from '../src/crypto/ed25519.ts';
import { sha256 } from '../src/crypto/sha2.ts';
import { encodeBody, type FleetRules } from '../src/fleet/fleet-body.ts';
import { encodeHeader, headerHash, LAST_SERIAL, noPredecessor } from '../src/fleet/fleet-header.ts';
import { encodePlatformList } from '../src/fleet/platform-list.ts';
import { addSignature } from '../src/fleet/sign-header.ts';
import { encodeSignedHeader, type SignedHeader } from '../src/fleet/signed-header.ts';

const fixed = (name: string, length = 32): Uint8Array =>
  sha256(utf8(`latchkey fleet vectors/${name}`)).subarray(0, length);
const hex = toPrefixedHex;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const seeds = ['key 1', 'key 2'].map((name) => fixed(name));
const signers = seeds.map((seed) => new Ed25519Signer(seed));
const issuedAtMs = 1_793_000_000_000;

/** The vectors of docs/fleet.md. */
export function fleetVectors() {
  const endorsed = encodePlatformList({
    version: 1,
    platforms: [
      { platform: hex(sha256(fixed('PPID', 16))), owner: 'Example', place: 'rack 12', since: issuedAtMs },
    ],
  });
  const rules: FleetRules = {
    kind: 'rules',
    version: 1,
    trustHashes: [{ hash: `0x${'ab'.repeat(48)}`, since: issuedAtMs, until: issuedAtMs + 86_400_000 }],
    measurements: [{ id: hex(fixed('image')), since: issuedAtMs }],
    minimumTcbEvaluationDataNumber: 18,
    platforms: { endorsed: hex(sha256(endorsed)) },
    moves: [
      { account: encodeSs58(AccountId.of(fixed('account'))), from: hex(fixed('from')), to: hex(fixed('to')) },
    ],
    rekey: { id: hex(fixed('rekey', 16)), reason: 'an attestation key was extracted' },
  };
  const body = encodeBody(rules);
  const header = {
    network: fixed('genesis'),
    authorityId: fixed('authority', 16),
    serial: 7,
    previous: fixed('previous'),
    bodyHash: sha256(body),
    issuedAtMs,
  };
  const handover = encodeBody({
    kind: 'handover',
    version: 1,
    successor: {
      id: hex(fixed('successor', 16)),
      threshold: 1,
      keys: [hex(new Ed25519Signer(fixed('next')).publicKey)],
    },
  });
  const last = { ...header, serial: LAST_SERIAL, previous: noPredecessor, bodyHash: sha256(handover) };
  return {
    keys: seeds.map((seed, index) => ({
      seed: hex(seed),
      publicKey: hex(signers[index]?.publicKey ?? seed),
    })),
    manifest: {
      fields: {
        network: hex(header.network),
        authorityId: hex(header.authorityId),
        serial: header.serial,
        previous: hex(header.previous),
        bodyHash: hex(header.bodyHash),
        issuedAtMs,
      },
      header: hex(encodeHeader(header)),
      hash: hex(headerHash(header)),
      signed: hex(signed(header)),
      body: text(body),
      endorsed: text(endorsed),
    },
    handover: { header: hex(encodeHeader(last)), signed: hex(signed(last)), body: text(handover) },
  };
}

const signed = (header: SignedHeader['header']): Uint8Array =>
  encodeSignedHeader(signers.reduce<SignedHeader>(addSignature, { header, signatures: [] }));
