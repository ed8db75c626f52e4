import { CompactionStopped, RunCompaction } from './compaction.ts';
import { SEGMENT_HEADER_BYTES, type Segment } from './segment.ts';
import type { StoreState } from './store-state.ts';

/** A run reads this many bytes at most, which bounds the extra room that compaction needs. */
const MAX_RUN_BYTES = 1024 * 1024 * 1024;

/** Chooses what to compact and does it in the background, one run at a time. */
export class Compactor {
  readonly #state: StoreState;
  #working: Promise<void> | undefined;
  #stopped = false;
  /** Why the last background compaction failed, if it did; it is tried again when a segment fills up. */
  lastError: unknown;

  constructor(state: StoreState) {
    this.#state = state;
  }

  /** Compacts what is worth it, in the background. */
  wake(): void {
    if (this.#stopped || this.#working !== undefined || this.#choose() === undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Resolves when nothing is being compacted. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /** Gives up what is under way; for closing. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.settled();
  }

  /** Rewrites everything: afterwards nothing that was overwritten, deleted or erased is in the files. */
  async compactAll(): Promise<void> {
    // Not by settled(): between its end and here another caller could begin.
    while (this.#working !== undefined) await this.#working;
    const working = this.#compactAll();
    this.#working = working
      .catch(() => undefined)
      .finally(() => {
        this.#working = undefined;
      });
    await working;
  }

  async #compactAll(): Promise<void> {
    const state = this.#state;
    if (state.active.length > SEGMENT_HEADER_BYTES) await state.commit.exclusively(() => state.roll());
    const wanted = new Set(state.segments.slice(0, -1));
    while (wanted.size > 0) {
      const first = state.segments.findIndex((segment) => wanted.has(segment));
      if (first === -1) break;
      const run = this.#runFrom(first, (segment) => wanted.has(segment));
      for (const segment of run) wanted.delete(segment);
      await this.#compact(run);
    }
    await this.#dropOldEpochs();
  }

  async #work(): Promise<void> {
    try {
      for (let run = this.#choose(); run !== undefined && !this.#stopped; run = this.#choose())
        await this.#compact(run);
      await this.#dropOldEpochs();
      this.lastError = undefined;
    } catch (error) {
      if (!(error instanceof CompactionStopped)) this.lastError = error;
    }
  }

  async #compact(run: readonly Segment[]): Promise<void> {
    await new RunCompaction(this.#state, run, () => this.#stopped).execute();
    await this.#state.drops;
  }

  /** When the last segment under old keys is gone, the old keys go as well. */
  async #dropOldEpochs(): Promise<void> {
    const state = this.#state;
    const isNeeded = (epoch: number) => [...state.table.all()].some(({ keys }) => keys.epoch === epoch);
    if (this.#stopped || !state.oldEpochs.some(({ epoch }) => !isNeeded(epoch))) return;
    await state.commit.exclusively(async () => {
      const before = state.oldEpochs;
      state.oldEpochs = before.filter(({ epoch }) => isNeeded(epoch));
      try {
        await state.saveManifest(state.manifest());
      } catch (error) {
        state.oldEpochs = before;
        throw error;
      }
      for (const keys of before) if (!state.oldEpochs.includes(keys)) keys.wipe();
    });
  }

  #choose(): readonly Segment[] | undefined {
    const { segments } = this.#state;
    const first = segments.findIndex(
      (segment, at) => at < segments.length - 1 && this.#isWorthIt(segment, at),
    );
    if (first === -1) return undefined;
    return this.#runFrom(first, (segment, at) => this.#isWorthIt(segment, at));
  }

  /** Under old keys, or more than half dead, or one of two small neighbours. */
  #isWorthIt(segment: Segment, at: number): boolean {
    if (segment.keys !== this.#state.keys) return true;
    const dead = segment.length - SEGMENT_HEADER_BYTES - segment.liveBytes - segment.keptBytes;
    if (dead > segment.length / 2) return true;
    const isFinished = at + 1 < this.#state.segments.length - 1;
    const next = isFinished ? this.#state.segments[at + 1] : undefined;
    const before = this.#state.segments[at - 1];
    return this.#isSmall(segment) && (this.#isSmall(next) || this.#isSmall(before));
  }

  #isSmall(segment: Segment | undefined): boolean {
    return segment !== undefined && segment.length < this.#state.segmentBytes / 4;
  }

  #runFrom(first: number, belongs: (segment: Segment, at: number) => boolean): readonly Segment[] {
    const run: Segment[] = [];
    let bytes = 0;
    for (const [at, segment] of this.#state.segments.slice(0, -1).entries()) {
      if (at < first) continue;
      bytes += segment.length;
      if (run.length > 0 && (!belongs(segment, at) || bytes > MAX_RUN_BYTES)) break;
      run.push(segment);
    }
    return run;
  }
}
