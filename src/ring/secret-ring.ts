import type { AccountId, RecordId } from '../bytes/fixed-bytes.ts';
import type { RingMember } from './placement/member.ts';
import type { Written } from './replication/coordinator.ts';
import type { RingEntry } from './replication/entry.ts';
import type { HeldRecord } from './replication/holdings.ts';

/** The running ring of a node, as the services that use it see it. */
export interface SecretRing {
  /** This node. */
  readonly account: AccountId;
  /** Whether it reads and writes for callers: it has all records of its ranges, and the ring has quorums here. */
  readonly isReady: boolean;
  /** Time of the newest finalized block that the ring knows, in milliseconds; it never goes back. */
  readonly newestMs: number;
  /** Holders of an id, nearest first; those of both sets while one replaces the other. */
  holdersOf(id: RecordId): readonly RingMember[];
  /**
   * Writes a record at the holders of its id; acknowledged when it is durable at a majority of every responsible set.
   * @throws LatchkeyError of the format; ProblemError RING_NOT_READY, RING_QUORUM_MISSING.
   */
  write(bytes: Uint8Array): Promise<Written>;
  /**
   * The newest record of an id that was acknowledged before the call, or a newer one.
   * @throws ProblemError RING_NOT_READY, RING_QUORUM_MISSING.
   */
  read(id: RecordId): Promise<{ readonly entry: RingEntry | undefined }>;
  /** Records of which this node has a copy, without their bytes, in no order. They may be behind those of others. */
  held(): Iterable<HeldRecord>;
  /** The copy that this node has. @param id lower-case hex. */
  copyOf(id: string): Promise<RingEntry | undefined>;
  /**
   * Asks another member over the attested channel; what the bytes mean is for the services to know.
   * @returns the answer of its {@link serve}.
   * @throws ProblemError RING_PEER_UNREACHABLE when no answer comes in time, or the member is not accepted.
   */
  ask(to: AccountId, content: Uint8Array): Promise<Uint8Array>;
  /** Answers what members {@link ask}. The sender is proven, and a member of the newest view. One service at a time. */
  serve(answer: (from: AccountId, content: Uint8Array) => Promise<Uint8Array>): void;
}
