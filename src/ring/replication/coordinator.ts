import { compareBytes, equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import { EvidenceError, ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { isBlocked, isRead, isWritten } from '../placement/configuration.ts';
import type { RingMember } from '../placement/member.ts';
import type { RingViews } from '../placement/views.ts';
import type { RingEntry } from './entry.ts';
import type { Holdings } from './holdings.ts';
import type { RingReply, RingRequest } from './messages.ts';
import type { Peers } from './peers.ts';

/** Rounds in which the holders were other ones than expected before an operation is given up. */
const MAX_ROUNDS = 4;

/** What the ring holds after a write: the record itself, or a newer one that stays. */
export type Written = { readonly kind: 'written' } | { readonly kind: 'superseded'; readonly by: RingEntry };

/** Reads and writes for this node's callers, at the holders of a record. */
export class Coordinator {
  readonly #views: RingViews;
  readonly #holdings: Holdings;
  readonly #peers: Peers;
  readonly #account: string;

  /** @param parts.account this node, lower-case hex. */
  constructor(parts: {
    readonly account: string;
    readonly views: RingViews;
    readonly holdings: Holdings;
    readonly peers: Peers;
  }) {
    this.#account = parts.account;
    this.#views = parts.views;
    this.#holdings = parts.holdings;
    this.#peers = parts.peers;
  }

  /**
   * Writes a record; it is acknowledged when it is durable at a majority of every set that is responsible for it.
   * @throws LatchkeyError of the format; RefusalError RING_RECORD_REFUSED; ProblemError RING_NOT_READY,
   *   RING_QUORUM_MISSING.
   */
  async write(bytes: Uint8Array): Promise<Written> {
    const entry = this.#holdings.format.read(bytes);
    return this.#inRounds(entry.id, async (configuration) => {
      const durable = new Set<string>();
      const refusing = new Set<string>();
      let newer: RingEntry | undefined;
      const isDone = await this.#askAll(
        configuration.flat(),
        { kind: 'store', configuration, bytes },
        (from, reply) => {
          if (reply.kind === 'superseded') {
            const claimed = this.#entryOf(entry.id, reply.bytes);
            // A lying member must not stop a write with an older record.
            if (compareBytes(claimed.order, entry.order) > 0) newer = newerOf(newer, claimed);
          }
          if (reply.kind === 'stored') durable.add(from);
          if (reply.kind === 'refused' && reply.code === 'RING_RECORD_REFUSED') refusing.add(from);
          return newer !== undefined || isWritten(configuration, durable);
        },
      );
      // As many as it takes to keep every quorum from it; fewer, such as one that lies, stop nothing.
      if (!isDone && isBlocked(configuration, refusing))
        throw new RefusalError(
          'RING_RECORD_REFUSED',
          'too many holders have no room for a record of this user',
          {
            observed: `${refusing.size} holders refuse it`,
            hint: 'it may have reached the other holders; delete a secret, or ask the operators for secrets.users, secrets.maxRecordsPerUser and maxRecords',
          },
        );
      if (!isDone) return undefined;
      return newer === undefined ? { kind: 'written' } : { kind: 'superseded', by: newer };
    });
  }

  /**
   * The newest record of an id that was acknowledged before the call, or a newer one.
   * @returns an object, because there may be no record.
   * @throws ProblemError RING_NOT_READY, RING_QUORUM_MISSING.
   */
  async read(id: RingEntry['id']): Promise<{ readonly entry: RingEntry | undefined }> {
    return this.#inRounds(id, async (configuration) => {
      const answered = new Set<string>();
      let entry: RingEntry | undefined;
      const request = { kind: 'read', configuration, id: toHex(id) } as const;
      const isDone = await this.#askAll(configuration.flat(), request, (from, reply) => {
        // A copy that missed purges may have what was deleted long ago.
        if (reply.kind !== 'record' || (from !== this.#account && this.#holdings.isTooOld(from)))
          return false;
        const found = reply.bytes === undefined ? undefined : this.#entryOf(id, reply.bytes);
        answered.add(from);
        if (found !== undefined) entry = newerOf(entry, found);
        return isRead(configuration, answered);
      });
      return isDone ? { entry } : undefined;
    });
  }

  /**
   * Claims a mark for an attempt at a majority of every set that is responsible for an id, so that of two attempts at most
   * one has it.
   * @param mark 32 bytes, lower-case hex. @param attempt 16 bytes, lower-case hex.
   * @returns whether this attempt has it. False also for two attempts at once of which neither has a majority.
   * @throws ProblemError RING_NOT_READY, RING_QUORUM_MISSING.
   */
  async mark(id: RingEntry['id'], mark: string, attempt: string): Promise<boolean> {
    return this.#inRounds(id, async (configuration) => {
      const claimed = new Set<string>();
      let isTaken = false;
      const request = { kind: 'mark', configuration, id: toHex(id), mark, attempt } as const;
      const isDone = await this.#askAll(configuration.flat(), request, (from, reply) => {
        if (reply.kind !== 'marked') return false;
        if (reply.attempt === attempt) claimed.add(from);
        else isTaken = true;
        return isTaken || isWritten(configuration, claimed);
      });
      return isDone ? !isTaken : undefined;
    });
  }

  /**
   * The record in an answer. A genuine record of another id is no answer: a lying member could put a record of its own
   * in place of any other.
   */
  #entryOf(id: RingEntry['id'], bytes: Uint8Array): RingEntry {
    const entry = this.#holdings.format.read(bytes);
    if (equalBytes(entry.id, id)) return entry;
    throw new EvidenceError('FIELD_INVALID', 'the answer has the record of another id', {
      field: 'bytes',
      expected: toHex(id),
      observed: toHex(entry.id),
    });
  }

  async #inRounds<Result>(
    id: Uint8Array,
    round: (configuration: ReturnType<RingViews['configurationOf']>) => Promise<Result | undefined>,
  ): Promise<Result> {
    if (!this.#peers.isReady())
      throw new ProblemError('RING_NOT_READY', 'this node is not complete yet', { retryAfterMs: 1000 });
    for (let turn = 0; turn < MAX_ROUNDS; turn++) {
      // Refusals say which members are complete, so the next round may know a newer configuration.
      const result = await round(this.#views.configurationOf(id));
      if (result !== undefined) return result;
    }
    throw new ProblemError('RING_QUORUM_MISSING', 'too few holders answered', { retryAfterMs: 1000 });
  }

  /** Asks all at once, and resolves with true as soon as `isEnough` says so, or with false when all have answered. */
  #askAll(
    accounts: readonly string[],
    request: RingRequest,
    isEnough: (from: string, reply: RingReply) => boolean,
  ): Promise<boolean> {
    const members = [...new Set(accounts)].map((account) => this.#memberOf(account));
    return new Promise((resolve) => {
      const asked = members.map(async (member) => {
        const reply = member === undefined ? undefined : await this.#peers.ask(member, request);
        if (member !== undefined && reply !== undefined && isEnough(toHex(member.account), reply))
          resolve(true);
      });
      void Promise.allSettled(asked).then(() => resolve(false));
    });
  }

  #memberOf(account: string): RingMember | undefined {
    const { current, next } = this.#views;
    return next?.placement.find(account) ?? current.placement.find(account);
  }
}

const newerOf = (a: RingEntry | undefined, b: RingEntry): RingEntry =>
  a !== undefined && compareBytes(a.order, b.order) >= 0 ? a : b;
