import { toHex } from '../../bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import { EvidenceError, ProblemError } from '../../errors/latchkey-error.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { manyAtOnce } from '../../store/many-at-once.ts';
import { REQUEST_WINDOW_MS } from '../signed-request.ts';

/** Most requests that are remembered at once. */
const MAX_REMEMBERED = 100_000;
/** Name of the newest time of a request that was forgotten; digests are names of 64 digits. */
const FORGOTTEN = 'forgotten';

/**
 * Which signed requests this node has taken, durably: before a request is acted on, its digest is on the disk. A digest
 * is forgotten only together with all requests that are as old, so a clock that the host sets back lets none come again.
 */
export class ReplayMemory {
  readonly #namespace: Namespace;
  readonly #maxRemembered: number;
  /** Requests up to this time are refused, by the time in them. */
  #forgottenMs: number;
  #sweepAtMs = 0;

  private constructor(namespace: Namespace, forgottenMs: number, maxRemembered: number) {
    this.#namespace = namespace;
    this.#forgottenMs = forgottenMs;
    this.#maxRemembered = maxRemembered;
  }

  static async open(namespace: Namespace, maxRemembered = MAX_REMEMBERED): Promise<ReplayMemory> {
    const forgotten = await namespace.get(FORGOTTEN);
    const forgottenMs = forgotten === undefined ? 0 : Number(readU64BigEndian(forgotten, 0));
    return new ReplayMemory(namespace, forgottenMs, maxRemembered);
  }

  isRecorded(digest: Uint8Array): boolean {
    return this.#namespace.has(toHex(digest));
  }

  /**
   * Records a request.
   * @param timestampMs the time in the request, which its user signed.
   * @returns whether it was recorded before.
   * @throws EvidenceError SECRET_REQUEST_STALE. ProblemError SECRET_RELAY_BUSY when too many are remembered.
   */
  async wasSeen(digest: Uint8Array, timestampMs: number, nowMs: number): Promise<boolean> {
    if (nowMs >= this.#sweepAtMs) await this.#sweep(nowMs);
    if (timestampMs <= this.#forgottenMs)
      throw new EvidenceError('SECRET_REQUEST_STALE', 'requests of that time are forgotten here', {
        field: 'timestampMs',
        expected: `more than ${this.#forgottenMs}`,
        observed: `${timestampMs}`,
      });
    if (this.#namespace.size >= this.#maxRemembered)
      throw new ProblemError('SECRET_RELAY_BUSY', 'too many requests within a short time', {
        retryAfterMs: REQUEST_WINDOW_MS,
      });
    return !(await this.#namespace.putIfAbsent(toHex(digest), u64BigEndian(timestampMs)));
  }

  /** Forgets requests that are too old to be taken. */
  async #sweep(nowMs: number): Promise<void> {
    this.#sweepAtMs = nowMs + REQUEST_WINDOW_MS;
    const oldest = nowMs - 2 * REQUEST_WINDOW_MS;
    const over: string[] = [];
    let newestMs = 0;
    for await (const [name, value] of this.#namespace.entries()) {
      const timestampMs = Number(readU64BigEndian(value, 0));
      if (name === FORGOTTEN || timestampMs > oldest) continue;
      over.push(name);
      newestMs = Math.max(newestMs, timestampMs);
    }
    if (newestMs <= this.#forgottenMs) return;
    // First: a crash in between must not leave a digest that is gone and a time that is taken.
    await this.#namespace.put(FORGOTTEN, u64BigEndian(newestMs));
    this.#forgottenMs = newestMs;
    await manyAtOnce(over, (name) => this.#namespace.delete(name));
  }
}
