import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { FaultRecord } from '../fault-record.ts';
import { storeClosed, writeFailure } from '../files/disk-failure.ts';
import { appendDurably, cutTail } from '../log/durable-append.ts';
import { FrameBuilder } from '../log/frame.ts';
import type { Segment } from '../log/segment.ts';
import type { SegmentLog } from '../log/segment-log.ts';
import { packAddress, packExtent } from '../log/segment-table.ts';
import { ownedWrite, type Write, type WriteOutcome } from './write.ts';
import { type Effect, type GroupTools, WriteGroup } from './write-group.ts';
import { WriteQueue } from './write-queue.ts';

/** The parts of the store that the group commit uses. */
export interface CommitParts extends GroupTools {
  readonly storeId: Uint8Array;
  readonly log: SegmentLog;
  readonly faults: FaultRecord;
  /** A segment of this length is finished and a new one begun. */
  readonly segmentBytes: number;
  /** Zeros that may lie behind the last frame, ready for the next ones. */
  readonly roomBytes: number;
  /** Starts a new segment, durably. */
  roll(): Promise<void>;
}

const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_RECORDS = 8192;

/** What an admitted write got, or why it failed. */
type Admission = { readonly outcome: WriteOutcome } | { readonly error: unknown };

/**
 * Group commit: while one group is on its way to the disk, the next one is sealed as its writes arrive; one fdatasync
 * covers a whole group. Writes beyond a full group wait in a queue. A group is begun only when the one before is
 * durable, so every frame proves that all before it was durable when it was written.
 *
 * The way of a write: {@link submit}, `WriteGroup.admit` (judged and sealed), {@link GroupCommit.#flush} (on the disk),
 * {@link GroupCommit.#show} (in the index), and then its promise resolves.
 */
export class GroupCommit {
  readonly #parts: CommitParts;
  readonly #queue = new WriteQueue();
  readonly #tasks: (() => Promise<void>)[] = [];
  readonly #spare: FrameBuilder[] = [];
  #forming: WriteGroup | undefined;
  #inFlight: WriteGroup | undefined;
  #isRunning = false;
  /** A task or the change of the segment has the log for itself. */
  #isExclusive = false;
  #failure: LatchkeyError | undefined;
  #isClosing = false;
  /** Called when nothing is left to do. */
  #onIdle: (() => void)[] = [];

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /** The reason why the store refuses further writes; `undefined` while it accepts them. */
  get failure(): LatchkeyError | undefined {
    return this.#failure;
  }

  /**
   * Makes a write durable, or refuses it by one of its conditions. Writes are judged in the order of their arrival, each
   * by all writes before it. A write that has to wait is copied first: the caller may change its values then.
   * @throws what judging or writing throws, after the writes before it are durable.
   */
  submit(write: Write): Promise<WriteOutcome> {
    if (this.#isClosing) return Promise.reject(storeClosed());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#queue.isEmpty && this.#canAdmit()) return this.#admit(write);
    const owned = ownedWrite(write);
    return new Promise((resolve, reject) => {
      const admit = () => void this.#admit(owned).then(resolve, reject);
      this.#queue.push({ bytes: owned.bytes, reject, admit });
      this.#start();
    });
  }

  /** Runs something while no write is under way; writes that arrive during the task wait. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#tasks.push(() =>
        // A failed write has left an unknown tail, and nothing may be written after it.
        (this.#failure === undefined ? task() : Promise.reject(this.#failure)).then(
          resolve,
          (error: unknown) => {
            reject(this.#taskFailed(error));
          },
        ),
      );
      this.#start();
    });
  }

  /** A group of its own, at once; only inside {@link exclusively}. */
  async commitNow(fill: (group: WriteGroup) => void): Promise<void> {
    const group = this.#begin();
    const settled = group.settled();
    fill(group);
    await this.#flush(group);
    await settled;
  }

  /** Refuses further writes, and resolves when all earlier writes are settled. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isRunning) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Refuses writes from now on, because the content of the disk is no longer known. */
  poison(error: LatchkeyError): void {
    this.#failure ??= error;
  }

  get #active(): Segment {
    const { last } = this.#parts.log;
    if (last === undefined) throw storeClosed();
    return last;
  }

  /** Whether a write may join the group that is forming. */
  #canAdmit(): boolean {
    if (this.#tasks.length > 0 || this.#isExclusive || this.#isSegmentFull()) return false;
    const frame = this.#forming?.frame;
    return frame === undefined || (frame.length < MAX_GROUP_BYTES && frame.records < MAX_GROUP_RECORDS);
  }

  /** Whether the next group belongs into a new segment: a segment ends with the group that fills it. */
  #isSegmentFull(): boolean {
    const last = this.#forming ?? this.#inFlight;
    return (last?.end ?? this.#active.length) >= this.#parts.segmentBytes;
  }

  async #admit(write: Write): Promise<WriteOutcome> {
    this.#forming ??= this.#begin();
    const group = this.#forming;
    // Even a refusal waits for the group: what it was judged by may not be durable yet.
    const settled = group.settled();
    this.#start();
    const admission = this.#judge(write, group);
    await settled;
    if ('error' in admission) throw admission.error;
    return admission.outcome;
  }

  #judge(write: Write, group: WriteGroup): Admission {
    const before = group.frame.records;
    try {
      return { outcome: group.admit(write) };
    } catch (error) {
      // Half a write in the group could only be a defect of this program; it must not reach the disk.
      if (group.frame.records !== before) this.poison(writeFailure(error, 'a group of records'));
      return { error };
    }
  }

  #begin(): WriteGroup {
    const active = this.#active;
    const before = this.#inFlight;
    const frame = this.#spare.pop() ?? new FrameBuilder();
    const start =
      before === undefined
        ? { base: active.length, firstOrdinal: active.nextOrdinal }
        : { base: before.end, firstOrdinal: before.nextOrdinal };
    return new WriteGroup(active, start, frame, this.#parts);
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // All writes of this turn of the event loop share the first group.
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (true) {
      if (this.#forming !== undefined) await this.#flush(this.#forming);
      else if (!this.#queue.isEmpty && this.#isSegmentFull()) await this.#roll();
      else if (this.#tasks.length > 0) await this.#runTask();
      else if (this.#queue.isEmpty) break;
      this.#refill();
    }
    this.#isRunning = false;
    this.#parts.sealer.wipe();
    for (const idle of this.#onIdle.splice(0)) idle();
  }

  async #runTask(): Promise<void> {
    this.#isExclusive = true;
    await this.#tasks.shift()?.();
    this.#isExclusive = false;
  }

  #refill(): void {
    if (this.#failure !== undefined) this.#queue.rejectAll(this.#failure);
    while (!this.#queue.isEmpty && this.#canAdmit()) this.#queue.shift()?.admit();
  }

  async #flush(group: WriteGroup): Promise<void> {
    this.#forming = undefined;
    this.#inFlight = group;
    const error = this.#failure ?? (group.frame.records > 0 ? await this.#write(group) : undefined);
    this.#inFlight = undefined;
    if (error === undefined) group.succeed();
    else group.fail(error);
    this.#recycle(group);
  }

  #recycle(group: WriteGroup): void {
    group.frame.reset();
    if (this.#spare.length < 2) this.#spare.push(group.frame);
  }

  /** @returns why it failed, if it did. */
  async #write(group: WriteGroup): Promise<LatchkeyError | undefined> {
    const { segment, firstOrdinal, base } = group;
    const { frame, digest } = group.frame.finish({
      storeId: this.#parts.storeId,
      firstOrdinal,
      watermark: firstOrdinal - 1,
      previous: segment.digest,
      chainKey: segment.keys.chainKey.reveal(),
    });
    let room: number;
    const startMs = performance.now();
    try {
      room = await appendDurably(segment, frame, this.#roomBehind(base + frame.length));
    } catch (error) {
      return this.#undo(segment, error);
    }
    segment.length = base + frame.length;
    this.#parts.log.bytesSinceCheckpoint += frame.length;
    segment.room = room;
    segment.nextOrdinal = group.nextOrdinal;
    segment.digest = digest;
    // In the same step as the head, so that no snapshot sees one without the other.
    for (const effect of group.effects) this.#show(effect, base);
    this.#parts.faults.groupWritten(performance.now() - startMs);
    this.#parts.faults.writeEnded();
    return undefined;
  }

  /** Makes a durable record visible in the index. */
  #show(effect: Effect, base: number): void {
    const { space, name, segment, offset, length, ordinal } = effect;
    if (effect.apply !== undefined) {
      effect.apply();
      return;
    }
    if (space.pending.get(name) === effect) space.pending.delete(name);
    const { log, namespaces } = this.#parts;
    const index = namespaces.indexToChange(space);
    const old = effect.deletes
      ? index.delete(name)
      : index.set(name, packAddress(segment, base + offset), packExtent(segment, ordinal, length));
    if (!effect.deletes) segment.liveBytes += length;
    if (space.keyPlace !== undefined) space.heldBy.add(segment.id);
    if (old !== undefined) log.forget(old);
  }

  /** Room never reaches beyond where the segment ends. */
  #roomBehind(end: number): number {
    const { roomBytes, segmentBytes } = this.#parts;
    return Math.max(0, Math.min(roomBytes, segmentBytes - end));
  }

  /** Cuts off the tail that may be there, and gives up the group that was sealed to follow. */
  async #undo(segment: Segment, cause: unknown): Promise<LatchkeyError> {
    const error = writeFailure(cause, 'a group of records');
    this.#parts.faults.writeEnded(error);
    const isUsable = error.code === 'STORE_DISK_FULL' && (await isCutOff(segment));
    if (!isUsable) this.poison(error);
    const next = this.#forming;
    this.#forming = undefined;
    // A write that is tried again at once must not be placed behind the group that failed.
    this.#inFlight = undefined;
    next?.fail(error);
    if (next !== undefined) this.#recycle(next);
    return error;
  }

  async #roll(): Promise<void> {
    this.#isExclusive = true;
    try {
      if (this.#failure === undefined) await this.#parts.roll();
    } catch (error) {
      // Without a new segment these writes have no place; later ones try again.
      this.#queue.rejectAll(this.#taskFailed(error));
    }
    this.#isExclusive = false;
  }

  #taskFailed(error: unknown): unknown {
    if (error instanceof LatchkeyError && error.family !== 'problem') return error;
    const failure = writeFailure(error, 'the store');
    this.#parts.faults.writeEnded(failure);
    if (failure.code === 'STORE_WRITE_FAILED') this.poison(failure);
    return failure;
  }
}

const isCutOff = (segment: Segment): Promise<boolean> =>
  cutTail(segment).then(
    () => true,
    () => false,
  );
