import { concatBytes } from '../../bytes/concat.ts';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../../bytes/integers.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import { manyAtOnce } from '../../store/many-at-once.ts';
import { CONTESTED, type KeptMark, MARK_LIFE_MS, type MarkClaim, type MarkStore } from './entry.ts';

const [ATTEMPT_BYTES, TIME_BYTES, NAME_BYTES] = [16, 8, 32];
/** Most marks of one node that were claimed here, some 150 bytes each. */
const MAX_MARKS = 200_000;
/** How many times as many one member may hand over: what was claimed there, and what others handed over to it. */
const TAKEN_FACTOR = 2;
const SWEEP_EVERY_MS = MARK_LIFE_MS / 4;
/** Marks that one answer gives. */
const MAX_GIVEN = 1_000;

/** How a node came to a mark. */
interface Source {
  /** The member that claimed it, or handed it over. */
  readonly from: string;
  readonly how: 'claimed' | 'taken';
}

type StoredMark = Omit<KeptMark, 'mark'> & Source;

/**
 * Marks in a namespace of the node's store: by the mark in hex, attempt ‖ u64 time of the chain ‖ id ‖ member ‖ u8 (0
 * claimed, 1 taken over).
 */
export class StoredMarks implements MarkStore {
  readonly #namespace: Namespace;
  readonly #maxMarks: number;
  /** How many there are of each share, see {@link sharesOf}. */
  readonly #counts = new Map<string, number>();
  #counted: Promise<void> | undefined;
  #sweepAtMs = 0;

  constructor(namespace: Namespace, maxMarks = MAX_MARKS) {
    this.#namespace = namespace;
    this.#maxMarks = maxMarks;
  }

  async claim({ id, mark, attempt }: MarkClaim, from: string, nowMs: number): Promise<string> {
    await this.#prepare(nowMs);
    const present = await this.#read(mark);
    if (present !== undefined) return present.attempt;
    const kept = { id, attempt, atMs: nowMs, from, how: 'claimed' } as const;
    if (await this.#add(mark, kept)) return attempt;
    return this.claim({ id, mark, attempt }, from, nowMs);
  }

  async kept(after: string, nowMs: number): ReturnType<MarkStore['kept']> {
    const marks: KeptMark[] = [];
    let [upTo, count] = ['', 0];
    const range = { ...(after === '' ? {} : { from: `${after}0` }), limit: MAX_GIVEN };
    for await (const [mark, value] of this.#namespace.entries(range)) {
      const { id, attempt, atMs } = decode(value);
      // What an older version stored names no id; nobody can say who has to hold it.
      if (id !== '' && atMs + MARK_LIFE_MS > nowMs) marks.push({ id, mark, attempt, atMs });
      upTo = mark;
      count += 1;
    }
    return { marks, upTo: count < MAX_GIVEN ? '' : upTo };
  }

  async take({ id, mark, attempt, atMs }: KeptMark, from: string, nowMs: number): Promise<void> {
    await this.#prepare(nowMs);
    const present = await this.#namespace.get(mark);
    // A member that names a later time must not have its marks kept for ever.
    const taken = { id, attempt, atMs: Math.min(atMs, nowMs), from, how: 'taken' } as const;
    if (present === undefined) {
      if (await this.#add(mark, taken)) return;
    } else {
      const known = decode(present);
      if (known.attempt === attempt || known.attempt === CONTESTED) return;
      const contested = encode({ ...known, attempt: CONTESTED });
      if (await this.#namespace.compareAndSet(mark, present, contested)) return;
    }
    await this.take({ id, mark, attempt, atMs }, from, nowMs);
  }

  async #read(mark: string): Promise<StoredMark | undefined> {
    const value = await this.#namespace.get(mark);
    return value === undefined ? undefined : decode(value);
  }

  /** @returns false when there is one by now. @throws ProblemError RING_MARKS_FULL. */
  async #add(mark: string, kept: StoredMark): Promise<boolean> {
    this.#requireRoom(kept);
    // Counted before it is written, so that many at once do not all fit into the last place.
    this.#count(kept, 1);
    let isAdded = false;
    try {
      isAdded = await this.#namespace.putIfAbsent(mark, encode(kept));
    } finally {
      if (!isAdded) this.#count(kept, -1);
    }
    return isAdded;
  }

  /**
   * The users of one record have through one member at most as many marks as that member has left, each member has half of
   * all, and nobody more than are left: so whoever comes new finds room, and neither many uses of one secret nor a member
   * that lies stop those of others. What members hand over is counted apart.
   */
  #requireRoom({ id, from, how }: StoredMark): void {
    const countOf = (share: string): number => this.#counts.get(share) ?? 0;
    const left =
      how === 'taken'
        ? TAKEN_FACTOR * this.#maxMarks - countOf(`taken/${from}`)
        : Math.min(
            Math.ceil(this.#maxMarks / 2) - countOf(from) - countOf(`${from}/${id}`),
            this.#maxMarks - countOf('claimed') - countOf(`${from}/${id}`),
          );
    if (left > 0) return;
    throw new ProblemError('RING_MARKS_FULL', 'this node remembers as many begun requests as it may', {
      expected: `at most ${this.#maxMarks}, and of one secret as many as are left`,
      retryAfterMs: 60_000,
    });
  }

  #count(kept: StoredMark, by: 1 | -1): void {
    for (const share of sharesOf(kept)) {
      const count = (this.#counts.get(share) ?? 0) + by;
      if (count === 0) this.#counts.delete(share);
      else this.#counts.set(share, count);
    }
  }

  async #prepare(nowMs: number): Promise<void> {
    this.#counted ??= this.#countAll();
    await this.#counted;
    // In the time of the chain, which a host can stop and not turn.
    if (nowMs >= this.#sweepAtMs) await this.#sweep(nowMs);
  }

  async #countAll(): Promise<void> {
    for await (const [, value] of this.#namespace.entries()) this.#count(decode(value), 1);
  }

  async #sweep(nowMs: number): Promise<void> {
    this.#sweepAtMs = nowMs + SWEEP_EVERY_MS;
    const over: string[] = [];
    for await (const [mark, value] of this.#namespace.entries())
      if (decode(value).atMs + MARK_LIFE_MS <= nowMs) over.push(mark);
    await manyAtOnce(over, (mark) => this.#remove(mark));
  }

  async #remove(mark: string): Promise<void> {
    const removed = await this.#namespace.delete(mark);
    if (removed !== undefined) this.#count(decode(removed), -1);
  }
}

/** What a mark counts for: its member and its secret there, or what its member handed over. */
const sharesOf = ({ id, from, how }: StoredMark): readonly string[] =>
  how === 'taken' ? [`taken/${from}`] : ['claimed', from, `${from}/${id}`];

const bytesOf = (hex: string, length: number): Uint8Array => tryFromHex(hex) ?? new Uint8Array(length);

const encode = ({ id, attempt, atMs, from, how }: StoredMark): Uint8Array =>
  concatBytes(
    bytesOf(attempt, ATTEMPT_BYTES),
    u64BigEndian(atMs),
    bytesOf(id, NAME_BYTES),
    bytesOf(from, NAME_BYTES),
    Uint8Array.of(how === 'taken' ? 1 : 0),
  );

function decode(value: Uint8Array): StoredMark {
  const [idAt, fromAt] = [ATTEMPT_BYTES + TIME_BYTES, ATTEMPT_BYTES + TIME_BYTES + NAME_BYTES];
  return {
    attempt: toHex(value.subarray(0, ATTEMPT_BYTES)),
    atMs: Number(readU64BigEndian(value, ATTEMPT_BYTES)),
    id: toHex(value.subarray(idAt, fromAt)),
    from: toHex(value.subarray(fromAt, fromAt + NAME_BYTES)),
    how: value[fromAt + NAME_BYTES] === 1 ? 'taken' : 'claimed',
  };
}
