import { toHex } from '../../bytes/hex.ts';
import type { RingMember } from '../placement/member.ts';
import type { RingViews } from '../placement/views.ts';
import type { Holdings } from './holdings.ts';
import type { FromNode, NodeStatus, RingReply, RingRequest, RingTransport } from './messages.ts';
import type { Replica } from './replica.ts';

/** Failures in a row after which a member is silent. */
const SILENT_AFTER = 3;

/** What this node knows of the others, and how it asks them; itself too. */
export class Peers {
  readonly #account: string;
  readonly #views: RingViews;
  readonly #transport: RingTransport;
  readonly #replica: Replica;
  readonly #status: () => NodeStatus;
  readonly #holdings: Holdings;
  readonly #isFresh: () => boolean;
  readonly #failures = new Map<string, number>();
  readonly #draining = new Set<string>();

  constructor(parts: {
    readonly account: string;
    readonly views: RingViews;
    readonly transport: RingTransport;
    readonly replica: Replica;
    readonly status: () => NodeStatus;
    readonly holdings: Holdings;
    /** As for the replica. */
    readonly isFresh: () => boolean;
  }) {
    this.#account = parts.account;
    this.#views = parts.views;
    this.#transport = parts.transport;
    this.#replica = parts.replica;
    this.#status = parts.status;
    this.#holdings = parts.holdings;
    this.#isFresh = parts.isFresh;
  }

  /** Whether this node has all records of its ranges under the view by which it serves. */
  isReady(): boolean {
    const { block, placement } = this.#views.current;
    return placement.find(this.#account) !== undefined && this.#status().complete >= block && this.#isFresh();
  }

  /** Asks a member; `undefined` when it does not answer. */
  async ask(member: RingMember, request: RingRequest): Promise<RingReply | undefined> {
    return (await this.askWithStatus(member, request))?.message;
  }

  /** As {@link ask}, with what the member said of itself in this answer. */
  async askWithStatus(member: RingMember, request: RingRequest): Promise<FromNode<RingReply> | undefined> {
    const name = toHex(member.account);
    const message = { status: this.#status(), message: request };
    if (name === this.#account) return this.#replica.answer(name, message);
    try {
      const answer = await this.#transport.ask(member, message);
      this.#failures.delete(name);
      this.noteDraining(name, answer.status.draining);
      this.#views.noteComplete(name, answer.status.complete);
      this.#holdings.noteOutlived(name, answer.status.tooOld);
      return answer;
    } catch {
      this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
      return undefined;
    }
  }

  /** A member says whether it drains. @param account lower-case hex. */
  noteDraining(account: string, isDraining: boolean): void {
    if (isDraining) this.#draining.add(account);
    else this.#draining.delete(account);
  }

  /** Members that are silent or drain: others take their places for the time being. */
  absent(): ReadonlySet<string> {
    const silent = [...this.#failures].filter(([, count]) => count >= SILENT_AFTER);
    const own = this.#status().draining ? [this.#account] : [];
    return new Set([...silent.map(([account]) => account), ...this.#draining, ...own]);
  }
}
