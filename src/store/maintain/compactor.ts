import { finishErasures } from '../commit/namespace-changes.ts';
import { writeFailure } from '../files/disk-failure.ts';
import type { RecordKeys } from '../keys/store-keys.ts';
import { SEGMENT_HEADER_BYTES, type Segment } from '../log/segment.ts';
import { isUnknown, type StoreState } from '../store-state.ts';
import { isCheckpointDue, removeCheckpoint, writeCheckpoint } from './checkpoint-writer.ts';
import { CompactionStopped, RunCompaction } from './compaction.ts';

/** A run reads this many bytes at most, which bounds the extra room that compaction needs. */
const MAX_RUN_BYTES = 1024 * 1024 * 1024;

/** Erasures within this time are swept together, so that a hundred of them rewrite a segment once. */
const SWEEP_DELAY_MS = 1000;
/** The pause after a sweep, as a multiple of its duration: the rest of the disk's time is for other work. */
const SWEEP_REST = 9;

/** Pause before a failed compaction is tried again; it doubles with each failure in a row, up to the longest one. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 5 * 60 * 1000;

/** Runs a task later, without keeping the process alive for it. @returns a function that cancels it. */
export type Later = (task: () => void, milliseconds: number) => () => void;

const systemLater: Later = (task, milliseconds) => {
  const timer = setTimeout(task, milliseconds).unref();
  return () => clearTimeout(timer);
};

/** Chooses what to compact and does it in the background, one run at a time. */
export class Compactor {
  readonly #state: StoreState;
  readonly #later: Later;
  readonly #now: () => number;
  #working: Promise<void> | undefined;
  /** Something became worth it while other work was under way, which may have passed it by. */
  #again = false;
  #stopped = false;
  #sweeping = false;
  #callOffSweep: (() => void) | undefined;
  #restUntilMs = 0;
  /** Compactions in a row that failed. */
  #failures = 0;
  #callOffRetry: (() => void) | undefined;

  constructor(state: StoreState, later: Later = systemLater, now: () => number = () => performance.now()) {
    this.#state = state;
    this.#later = later;
    this.#now = now;
  }

  /** Compacts what is worth it, in the background. */
  wake(): void {
    this.sweepSoon();
    if (this.#working !== undefined) this.#again = true;
    else if (!this.#stopped && this.#hasWork()) this.#begin(this.#work());
  }

  /** Compacts what holds records of erased namespaces, soon, together with what is erased until then. */
  sweepSoon(): void {
    if (this.#stopped || this.#callOffSweep !== undefined || !this.#hasErased()) return;
    const delay = Math.max(SWEEP_DELAY_MS, this.#restUntilMs - this.#now());
    this.#callOffSweep = this.#later(() => void this.#sweep(), delay);
  }

  /** Resolves when nothing is left to be compacted; what would wait is done at once. */
  async settled(): Promise<void> {
    do {
      if (this.#callOffSweep !== undefined) await this.#sweep();
      else await this.#working;
    } while (this.#working !== undefined || this.#callOffSweep !== undefined);
  }

  /** Gives up what is under way; for closing. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#callOffSweep?.();
    this.#callOffSweep = undefined;
    this.#callOffRetry?.();
    this.#callOffRetry = undefined;
    while (this.#working !== undefined) await this.#working;
  }

  /** A compaction that failed, as on a full disk, is tried again without waiting for the next full segment. */
  #retryLater(): void {
    if (this.#stopped || this.#callOffRetry !== undefined) return;
    const delay = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS);
    this.#failures += 1;
    this.#callOffRetry = this.#later(() => {
      this.#callOffRetry = undefined;
      this.wake();
    }, delay);
  }

  #hasWork(): boolean {
    return this.#choose() !== undefined || this.#needlessKeys().length > 0 || isCheckpointDue(this.#state);
  }

  #hasErased(): boolean {
    const { log, namespaces } = this.#state;
    return namespaces.halfErased.size > 0 || log.segments.some(({ erasedBytes }) => erasedBytes > 0);
  }

  async #sweep(): Promise<void> {
    this.#callOffSweep?.();
    this.#callOffSweep = undefined;
    while (this.#working !== undefined) await this.#working;
    if (this.#stopped || !this.#hasErased()) return;
    const startMs = this.#now();
    this.#sweeping = true;
    const sweeping = this.#work().finally(() => {
      this.#sweeping = false;
      this.#restUntilMs = this.#now() + SWEEP_REST * (this.#now() - startMs);
    });
    this.#begin(sweeping);
    await sweeping;
  }

  /** @param work does not throw. */
  #begin(work: Promise<void>): void {
    this.#working = work.finally(() => {
      this.#working = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }

  /** Rewrites everything: afterwards nothing that was overwritten, deleted or erased is in the files. */
  async compactAll(): Promise<void> {
    // Not by settled(): between its end and here another caller could begin.
    while (this.#working !== undefined) await this.#working;
    if (this.#stopped) throw new CompactionStopped();
    const working = this.#compactAll();
    this.#begin(working.catch(() => undefined));
    await working;
  }

  async #compactAll(): Promise<void> {
    const state = this.#state;
    if (state.active.length > SEGMENT_HEADER_BYTES) await state.commit.exclusively(() => state.roll());
    const wanted = new Set(state.log.segments.slice(0, -1));
    while (wanted.size > 0) {
      const first = state.log.segments.findIndex((segment) => wanted.has(segment));
      if (first === -1) break;
      const run = this.#runFrom(first, (segment) => wanted.has(segment));
      for (const segment of run) wanted.delete(segment);
      await this.#compact(run);
    }
    await this.#dropOldKeys();
    await this.#checkpoint();
  }

  async #work(): Promise<void> {
    try {
      if (this.#sweeping) await this.#finishErased();
      for (let run = this.#choose(); run !== undefined && !this.#stopped; run = this.#choose())
        await this.#compact(run);
      await this.#dropOldKeys();
      await this.#checkpoint();
      this.#failures = 0;
      this.#state.faults.compactionEnded();
    } catch (error) {
      if (error instanceof CompactionStopped) return;
      this.#state.faults.compactionEnded(writeFailure(error, 'a compacted segment'));
      this.#retryLater();
    }
  }

  /** Keys that are still there go first; then, as only finished segments can be compacted, the one being written ends. */
  async #finishErased(): Promise<void> {
    const state = this.#state;
    if (state.namespaces.halfErased.size > 0) await state.commit.exclusively(() => finishErasures(state));
    if (state.active.erasedBytes > 0) await state.commit.exclusively(() => state.roll());
  }

  async #compact(run: readonly Segment[]): Promise<void> {
    await new RunCompaction(this.#state, run, () => this.#stopped).execute();
    this.#state.faults.compacted();
    await this.#state.log.drops;
  }

  /**
   * After compacting, as that moves records. Without a checkpoint nothing is lost but time at the next opening, so a disk
   * that has no room for it is no fault; the next segment tries again.
   */
  async #checkpoint(): Promise<void> {
    const state = this.#state;
    if (this.#stopped || state.commit.failure !== undefined || !isCheckpointDue(state)) return;
    const fresh = await writeCheckpoint(state, () => this.#stopped).catch(() => undefined);
    if (fresh === undefined) return;
    let isListing = false;
    try {
      await state.commit.exclusively(async () => {
        isListing = true;
        await state.listCheckpoint(fresh).catch((error: unknown) => {
          if (isUnknown(error)) throw error;
        });
      });
    } catch (error) {
      // A store that takes no writes any more would leave one more file with each attempt.
      if (!isListing) await removeCheckpoint(state, fresh);
      throw error;
    }
    await state.log.drops;
  }

  /** Old keys under which no segment is sealed any more, not even one that a snapshot still reads. */
  #needlessKeys(): readonly RecordKeys[] {
    const segments = [...this.#state.log.table.all()];
    return this.#state.keys.old.filter((old) => !segments.some(({ keys }) => keys.version === old.version));
  }

  /** When the last segment under old keys is gone, the old keys leave the disk. */
  async #dropOldKeys(): Promise<void> {
    const state = this.#state;
    if (this.#stopped || this.#needlessKeys().length === 0) return;
    await state.commit.exclusively(async () => {
      const needless = this.#needlessKeys();
      const keys = { ...state.keys, old: state.keys.old.filter((old) => !needless.includes(old)) };
      await state.saveManifest(state.manifest(state.log.segments, keys), keys);
      for (const gone of needless) gone.wipe();
    });
  }

  #choose(): readonly Segment[] | undefined {
    const { segments } = this.#state.log;
    const first = segments.findIndex(
      (segment, at) => at < segments.length - 1 && this.#isWorthIt(segment, at),
    );
    if (first === -1) return undefined;
    return this.#runFrom(first, (segment, at) => this.#isWorthIt(segment, at));
  }

  /** Under old keys, or with something erased that is to be swept, or more than half dead, or one of two small neighbours. */
  #isWorthIt(segment: Segment, at: number): boolean {
    if (segment.keys !== this.#state.keys.current || (this.#sweeping && segment.erasedBytes > 0)) return true;
    const dead = segment.length - SEGMENT_HEADER_BYTES - segment.liveBytes - segment.keptBytes;
    if (dead > segment.length / 2) return true;
    const isFinished = at + 1 < this.#state.log.segments.length - 1;
    const next = isFinished ? this.#state.log.segments[at + 1] : undefined;
    const before = this.#state.log.segments[at - 1];
    return this.#isSmall(segment) && (this.#isSmall(next) || this.#isSmall(before));
  }

  #isSmall(segment: Segment | undefined): boolean {
    return segment !== undefined && segment.length < this.#state.tuning.segmentBytes / 4;
  }

  #runFrom(first: number, belongs: (segment: Segment, at: number) => boolean): readonly Segment[] {
    const run: Segment[] = [];
    let bytes = 0;
    for (const [at, segment] of this.#state.log.segments.slice(0, -1).entries()) {
      if (at < first) continue;
      bytes += segment.length;
      if (run.length > 0 && (!belongs(segment, at) || bytes > MAX_RUN_BYTES)) break;
      run.push(segment);
    }
    return run;
  }
}
