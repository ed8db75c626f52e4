import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { Session } from '../../channel/session.ts';

/** A session and when it was made. */
export interface OpenSession {
  readonly session: Session;
  readonly madeAtMs: number;
}

/** Sessions of one peer that are kept: one that restarts may open a second one before the first has gone. */
const MAX_FOR_ONE = 4;

/** Sessions that others opened here, by their id. What makes room is wiped. */
export class SessionTable {
  readonly #sessions = new Map<string, OpenSession>();
  readonly #maxAgeMs: number;

  /** @param maxAgeMs how long a session lasts: a peer has to attest itself that often. */
  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  get size(): number {
    return this.#sessions.size;
  }

  add(session: Session, nowMs: number): void {
    this.#sessions.set(toHex(session.id), { session, madeAtMs: nowMs });
    const own = [...this.#sessions].filter(([, known]) => isOf(known.session, session.peer.account));
    for (const [id] of own.slice(0, -MAX_FOR_ONE)) this.#drop(id);
    for (const [id, { madeAtMs }] of this.#sessions) if (nowMs - madeAtMs > this.#maxAgeMs) this.#drop(id);
  }

  /** The session of an id, lower-case hex. */
  find(id: string, nowMs: number): Session | undefined {
    const known = this.#sessions.get(id);
    if (known === undefined) return undefined;
    if (nowMs - known.madeAtMs <= this.#maxAgeMs) return known.session;
    this.#drop(id);
    return undefined;
  }

  /** Erases all keys. */
  wipe(): void {
    for (const id of [...this.#sessions.keys()]) this.#drop(id);
  }

  #drop(id: string): void {
    this.#sessions.get(id)?.session.wipe();
    this.#sessions.delete(id);
  }
}

const isOf = ({ peer }: Session, account: AccountId): boolean => toHex(peer.account) === toHex(account);
