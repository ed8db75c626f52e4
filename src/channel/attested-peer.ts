import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, InstanceId, X25519PublicKey } from '../bytes/fixed-bytes.ts';
import { sha256 } from '../crypto/sha2.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { type AttestationParameters, attestationReportData } from '../protocol/report-data.ts';
import type { VerifiedQuote } from '../tdx/verify-quote.ts';

const proofKey = Symbol('AttestedPeer');

/**
 * A running instance of a node: account, registered X25519 key and instance id, bound by a genuine quote. Made by
 * {@link attestPeer} only. Whether the machine is accepted is for the caller to judge before.
 */
export class AttestedPeer {
  readonly #proof = true;
  readonly account: AccountId;
  readonly x25519PublicKey: X25519PublicKey;
  readonly instanceId: InstanceId;
  /** SHA-256 of account ‖ X25519 key ‖ instance id ‖ report data of the quote. */
  readonly digest: Uint8Array;

  constructor(key: typeof proofKey, attested: AttestationParameters) {
    if (key !== proofKey) throw new TypeError('an AttestedPeer is made by attestPeer only');
    this.account = attested.server;
    this.x25519PublicKey = attested.x25519PublicKey;
    this.instanceId = attested.instanceId;
    this.digest = peerDigest(attested);
    Object.freeze(this);
  }

  /** Whether a value is such a proof: the check at run time that the type makes at compile time. */
  static isProof(value: unknown): value is AttestedPeer {
    return typeof value === 'object' && value !== null && #proof in value;
  }
}

/** Digest of what an attestation says: SHA-256 of account ‖ X25519 key ‖ instance id ‖ report data. Proves nothing. */
export const peerDigest = (attested: AttestationParameters): Uint8Array =>
  sha256(attested.server, attested.x25519PublicKey, attested.instanceId, attestationReportData(attested));

/**
 * Takes an attestation as proof of a peer.
 * @param attested what the attestation says, with the X25519 key that the chain has for the account.
 * @param verified the quote of the attestation; this node's own one for its own end.
 * @throws EvidenceError CHANNEL_PEER_UNPROVEN when the quote binds something else.
 */
export function attestPeer(attested: AttestationParameters, verified: VerifiedQuote): AttestedPeer {
  if (equalBytes(verified.quote.body.reportData, attestationReportData(attested)))
    return new AttestedPeer(proofKey, attested);
  throw new EvidenceError('CHANNEL_PEER_UNPROVEN', 'the quote is not about this peer', {
    field: 'reportData',
    expected: 'SHA-512 over account, registered X25519 key, instance id and block, as in GET /attestation',
  });
}
