import { concatBytes } from '../../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { manyAtOnce } from '../../store/many-at-once.ts';
import type { UsageCount } from '../judge-use.ts';

const SWEEP_EVERY_MS = 3_600_000;

/**
 * How often secrets with a limit were used, durably: by the id in hex, u64 length of a period ‖ u64 period ‖ u64 uses.
 * Only the node nearest to a secret counts.
 */
export class UsageCounts {
  readonly #namespace: Namespace;
  readonly #isHere: (id: string) => boolean;
  #sweepAtMs = 0;

  /** @param isHere whether this node holds the secret of an id, lower-case hex. */
  constructor(namespace: Namespace, isHere: (id: string) => boolean) {
    this.#namespace = namespace;
    this.#isHere = isHere;
  }

  /** What is recorded; `undefined` when nothing is, or for periods of another length. */
  async get(id: string, periodMs: number): Promise<UsageCount | undefined> {
    const value = await this.#namespace.get(id);
    if (value === undefined || Number(readU64BigEndian(value, 0)) !== periodMs) return undefined;
    return { period: Number(readU64BigEndian(value, 8)), used: Number(readU64BigEndian(value, 16)) };
  }

  /** Resolves when the count is on the disk. */
  async put(id: string, periodMs: number, { period, used }: UsageCount, nowMs: number): Promise<void> {
    if (nowMs >= this.#sweepAtMs) await this.#sweep(nowMs);
    const value = concatBytes(...[periodMs, period, used].map(u64BigEndian));
    await this.#namespace.put(id, value);
  }

  /** Drops counts of secrets that are not here any more, once their period is over. */
  async #sweep(nowMs: number): Promise<void> {
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    const gone: string[] = [];
    for await (const [id, value] of this.#namespace.entries()) {
      const endMs = Number(readU64BigEndian(value, 0)) * (Number(readU64BigEndian(value, 8)) + 1);
      if (!this.#isHere(id) && endMs <= nowMs) gone.push(id);
    }
    await manyAtOnce(gone, (id) => this.#namespace.delete(id));
  }
}
