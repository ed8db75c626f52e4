import { equalBytes } from '../../bytes/concat.ts';
import { type AttestedPeer, attestPeer } from '../../channel/attested-peer.ts';
import type { OwnEnd } from '../../channel/handshake.ts';
import type { RandomSource } from '../../crypto/random.ts';
import type { X25519KeyPair } from '../../crypto/x25519.ts';
import type { Attestation, OwnAttestation } from '../../keyserver/own-attestation.ts';
import type { EvidenceVerifier } from '../../keyserver/verify.ts';
import { parseQuote } from '../../tdx/quote.ts';

/** This node at an end of a channel, with the attestation that it shows for it. */
export interface AttestedEnd extends OwnEnd {
  readonly attestation: Attestation;
}

/** This node's own end of channels: it changes with each attestation, and others may still have the one before. */
export class OwnEnds {
  readonly #attestation: OwnAttestation;
  readonly #evidenceVerifier: EvidenceVerifier;
  readonly #keyPair: X25519KeyPair;
  readonly #random: RandomSource;
  readonly #now: () => number;
  #ends: readonly AttestedEnd[] = [];

  constructor(parts: {
    readonly attestation: OwnAttestation;
    readonly evidenceVerifier: EvidenceVerifier;
    /** The registered one. */
    readonly keyPair: X25519KeyPair;
    readonly random: RandomSource;
    readonly now: () => number;
  }) {
    this.#attestation = parts.attestation;
    this.#evidenceVerifier = parts.evidenceVerifier;
    this.#keyPair = parts.keyPair;
    this.#random = parts.random;
    this.#now = parts.now;
  }

  /** The end of now. @throws ProblemError QUOTE_SOURCE_UNAVAILABLE, COLLATERAL_UNAVAILABLE; EvidenceError of the verifier. */
  async current(): Promise<AttestedEnd> {
    const attestation = await this.#attestation.get(this.#now());
    const known = this.#ends.find((end) => end.attestation === attestation);
    if (known !== undefined) return known;
    const peer = attestPeer(attestation, await this.#evidenceVerifier.verify(parseQuote(attestation.quote)));
    const end = { peer, keyPair: this.#keyPair, random: this.#random, attestation };
    this.#ends = [end, ...this.#ends].slice(0, 2);
    return end;
  }

  /** The end of a digest, of now or of the attestation before. @throws as {@link current}. */
  async of(digest: AttestedPeer['digest']): Promise<AttestedEnd | undefined> {
    await this.current();
    return this.#ends.find(({ peer }) => equalBytes(peer.digest, digest));
  }
}
