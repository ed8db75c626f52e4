import { Memo } from '../bytes/memo.ts';

/** A rate: how many at once, and how many are refilled per second. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Token buckets by name, bounded in number. The least recently used bucket is dropped first: its name starts again with
 * a full bucket.
 */
export class TokenBuckets {
  readonly #buckets: Memo<Bucket>;
  readonly #rate: Rate;

  constructor(rate: Rate, maxNames = 100_000) {
    this.#rate = rate;
    this.#buckets = new Memo(maxNames);
  }

  /** Takes one token. Returns 0 when there was a token, else the milliseconds until the next. */
  take(name: string, nowMs: number): number {
    const { burst, perSecond } = this.#rate;
    const bucket = this.#buckets.get(name, () => ({ tokens: burst, atMs: nowMs }));
    const elapsedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs / 1000) * perSecond);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / perSecond) * 1000);
    bucket.tokens -= 1;
    return 0;
  }
}
