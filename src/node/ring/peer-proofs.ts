import type { ServerVetter } from '../../boot/obtain/vet-server.ts';
import { PeerError } from '../../boot/peer/peer-failure.ts';
import { equalBytes, utf8 } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { Memo, memoKey } from '../../bytes/memo.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainView, ServerRecord } from '../../chain/chain-view.ts';
import { type AttestedPeer, attestPeer } from '../../channel/attested-peer.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { EvidenceError, RefusalError } from '../../errors/latchkey-error.ts';
import type { Attestation } from '../../keyserver/own-attestation.ts';
import type { ChainWatch } from '../chain-watch.ts';

/** Attestations that are remembered as judged: each member sends the same one to everybody for a while. */
const MAX_REMEMBERED = 10_000;
/** How long. A revocation takes effect at once nevertheless: it is asked for with each message. */
const REMEMBERED_MS = 60_000;

/** Decides with which servers this node speaks of records, by the chain, the rules about platforms, and their attestations. */
export class PeerProofs {
  readonly #chain: Pick<ChainView, 'snapshot'>;
  readonly #watch: Pick<ChainWatch, 'recordOf'>;
  readonly #vetter: Pick<ServerVetter, 'judgeAttestation' | 'platformRefusal' | 'platformOf'>;
  readonly #now: () => number;
  readonly #judged = new Memo<AttestedPeer>(MAX_REMEMBERED, { ttlMs: REMEMBERED_MS });

  constructor(parts: {
    readonly chain: Pick<ChainView, 'snapshot'>;
    readonly watch: Pick<ChainWatch, 'recordOf'>;
    readonly vetter: Pick<ServerVetter, 'judgeAttestation' | 'platformRefusal' | 'platformOf'>;
    readonly now: () => number;
  }) {
    this.#chain = parts.chain;
    this.#watch = parts.watch;
    this.#vetter = parts.vetter;
    this.#now = parts.now;
  }

  /**
   * The record of a server with which this node may speak. Asked with each message: a server that left the chain, or has a
   * revoked platform, is refused at once.
   * @throws RefusalError RING_NOT_MEMBER.
   */
  recordOf(account: AccountId): ServerRecord {
    const record = this.#watch.recordOf(account);
    const observed = encodeSs58(account);
    if (record === undefined || record === 'unknown')
      throw new RefusalError('RING_NOT_MEMBER', 'the server has no record on the chain', { observed });
    if (this.#vetter.platformOf(record) === undefined)
      throw new RefusalError('RING_NOT_MEMBER', 'its registered quote proves no platform', { observed });
    const refusal = this.#vetter.platformRefusal(record);
    if (refusal !== undefined) throw new RefusalError('RING_NOT_MEMBER', refusal.detail, { observed });
    return record;
  }

  /**
   * Whether an attestation is about the key that the chain has for its account: cheap, and no proof.
   * @throws RefusalError RING_NOT_MEMBER; EvidenceError CHANNEL_PEER_UNPROVEN.
   */
  requireRegisteredKey(attestation: Attestation): ServerRecord {
    const record = this.recordOf(attestation.server);
    if (equalBytes(record.x25519PublicKey, attestation.x25519PublicKey)) return record;
    throw new EvidenceError('CHANNEL_PEER_UNPROVEN', 'the attestation names another key than the chain', {
      field: 'x25519PublicKey',
      expected: 'the registered X25519 key',
    });
  }

  /**
   * The proof of a peer. One attestation is judged once a minute, however often it is sent.
   * @throws RefusalError RING_NOT_MEMBER; EvidenceError of the quote; PeerError of the rules; ProblemError CHAIN_UNAVAILABLE.
   */
  async prove(attestation: Attestation): Promise<AttestedPeer> {
    const record = this.requireRegisteredKey(attestation);
    // With the platform: a registration that changes to another one must not count there by the attestation of the former.
    const platform = utf8(this.#vetter.platformOf(record) ?? '');
    const name = memoKey(
      sha256(platform, attestation.server, attestation.x25519PublicKey, attestation.quote),
    );
    const known = this.#judged.find(name, this.#now());
    if (known !== undefined) return known;
    const verified = await this.#vetter.judgeAttestation(record, attestation, await this.#chain.snapshot());
    const peer = attestPeer(attestation, verified);
    this.#judged.set(name, peer, this.#now());
    return peer;
  }
}

/** A refusal of a peer as an error with a code, for the answer to it. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof PeerError)) return error;
  return new RefusalError('CHANNEL_PEER_REFUSED', error.failure.detail, {
    ...('code' in error.failure ? { observed: error.failure.code } : {}),
  });
}
