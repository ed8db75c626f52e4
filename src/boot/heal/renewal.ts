import { concatBytes } from '../../bytes/concat.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import type { Log } from '../../observe/log.ts';
import type { Namespace, Store } from '../../store/api/store-api.ts';
import { type Clock, monotonicMsOf } from '../../time/clock.ts';
import { LINEAGE_NAMESPACE } from '../node/boot-record.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';

/** Its bytes are u64 number of the generation ‖ u64 milliseconds since 1970 at which this node saw it first. */
const NEWEST_SINCE = 'newest-since';
const RECORD_BYTES = 16;
/** Longest wait from one attempt to the next, in milliseconds: one hour. */
const RETRY_MS = 3_600_000;

interface NewestSince {
  readonly generation: number;
  readonly sinceMs: number;
}

/**
 * Whether the slots of a healthy store are so old that they have to be made again (`healing.renewEveryMs`). Their age
 * is kept in the sealed store: a restart makes a renewal neither earlier nor later.
 */
export class Renewal {
  readonly #parts: { readonly clock: Clock; readonly log: Log; readonly renewEveryMs?: number | undefined };
  readonly #store: Pick<Store, 'namespace'>;
  #newest: NewestSince | undefined;
  /** When the last attempt began, by the clock that the host cannot set; those of an earlier process are not known. */
  #begunAtMs: number | undefined;

  constructor(
    parts: { readonly clock: Clock; readonly log: Log; readonly renewEveryMs?: number | undefined },
    store: Pick<Store, 'namespace'>,
  ) {
    this.#parts = parts;
    this.#store = store;
  }

  /**
   * Whether a generation has been the newest one for the whole interval. Notes a generation that was not seen before.
   * @param generation number of the newest generation.
   */
  async isDue(generation: number): Promise<boolean> {
    const { renewEveryMs, log } = this.#parts;
    if (renewEveryMs === undefined) return false;
    try {
      const { sinceMs } = await this.#note(generation);
      const isRested =
        this.#begunAtMs === undefined ||
        this.#monotonicMs - this.#begunAtMs >= Math.min(renewEveryMs, RETRY_MS);
      return isRested && this.#nowMs - sinceMs >= renewEveryMs;
    } catch (error) {
      // Without a durable note each restart could renew again.
      log('warn', 'slots.renewal-failed', { reason: describeFailure(failureOf(error)) });
      return false;
    }
  }

  /**
   * Notes that an attempt begins: the next one waits for an hour, or the interval if that is shorter, whatever becomes of
   * this one. A disk that takes no keyslot file must not cost the servers new keys with each check.
   */
  begins(): void {
    this.#begunAtMs = this.#monotonicMs;
  }

  /** Reports that an attempt brought no generation. */
  failed(reason: string): void {
    this.#parts.log('warn', 'slots.renewal-failed', { reason });
  }

  async #note(generation: number): Promise<NewestSince> {
    const namespace = await this.#store.namespace(LINEAGE_NAMESPACE);
    this.#newest ??= decode(await namespace.get(NEWEST_SINCE));
    const known = this.#newest;
    // The host may put back an older keyslot file: that makes no generation younger.
    if (known !== undefined && generation <= known.generation && known.sinceMs <= this.#nowMs) return known;
    return await this.#save(namespace, { generation, sinceMs: this.#nowMs });
  }

  async #save(namespace: Namespace, newest: NewestSince): Promise<NewestSince> {
    const { generation, sinceMs } = newest;
    await namespace.put(NEWEST_SINCE, concatBytes(u64BigEndian(generation), u64BigEndian(sinceMs)));
    this.#newest = newest;
    return newest;
  }

  get #nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  get #monotonicMs(): number {
    const { clock } = this.#parts;
    return monotonicMsOf(clock);
  }
}

/** A record that is none counts as no record: the interval begins again. */
function decode(bytes: Uint8Array | undefined): NewestSince | undefined {
  if (bytes?.length !== RECORD_BYTES) return undefined;
  return { generation: Number(readU64BigEndian(bytes)), sinceMs: Number(readU64BigEndian(bytes, 8)) };
}
