import { LatchkeyError } from '../../errors/latchkey-error.ts';
import { storeClosed, writeFailure } from '../files/disk-failure.ts';
import type { FaultRecord } from '../fault-record.ts';
import { appendDurably, cutTail } from '../log/durable-append.ts';
import { FrameBuilder } from '../log/frame.ts';
import type { RecordSealer } from '../log/record-sealer.ts';
import type { Segment } from '../log/segment.ts';
import { type Effect, WriteGroup } from './write-group.ts';
import { WriteQueue } from './write-queue.ts';

/** What the committer needs of the store. */
export interface CommitTarget {
  readonly storeId: Uint8Array;
  readonly sealer: RecordSealer;
  /** The segment being written. */
  readonly active: Segment;
  /** A segment of this length is finished and a new one begun. */
  readonly segmentBytes: number;
  /** Zeros that may lie behind the last frame, ready for the next ones. */
  readonly roomBytes: number;
  /** Starts a new segment, durably. */
  roll(): Promise<void>;
  /** Makes a durable change visible. */
  apply(effect: Effect): void;
  /** What is told whether writes succeed. */
  readonly faults: FaultRecord;
}

const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_RECORDS = 8192;

/**
 * Group commit: while one group is on its way to the disk, the next one is sealed as its writes arrive; one fdatasync
 * covers a whole group. Writes beyond a full group wait in a queue. A group is begun only when the one before is
 * durable, so every frame proves that all before it was durable when it was written.
 */
export class GroupCommit {
  readonly #target: CommitTarget;
  readonly #queue = new WriteQueue();
  readonly #tasks: (() => Promise<void>)[] = [];
  readonly #spare: FrameBuilder[] = [];
  #forming: WriteGroup | undefined;
  #inFlight: WriteGroup | undefined;
  #running = false;
  #exclusive = false;
  #rollWanted = false;
  #failure: LatchkeyError | undefined;
  #closing = false;
  /** Called when nothing is left to do. */
  #onIdle: (() => void)[] = [];

  constructor(target: CommitTarget) {
    this.#target = target;
  }

  /** Why the store takes no more writes, if so. */
  get failure(): LatchkeyError | undefined {
    return this.#failure;
  }

  /**
   * Makes a write part of the next group.
   * @param plan runs in the order of arrival, sees all writes before it, checks first and adds its records then;
   *   what it throws, the caller gets, after those earlier writes are durable.
   * @param keep called when the write has to wait, to copy what the caller may change meanwhile.
   */
  submit<T>(plan: (group: WriteGroup) => T, bytes: number, keep: () => void): Promise<T> {
    if (this.#closing) return Promise.reject(storeClosed());
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#queue.isEmpty && this.#hasRoom()) return this.#admit(plan);
    return new Promise((resolve, reject) => {
      keep();
      this.#queue.push({ bytes, reject, admit: () => void this.#admit(plan).then(resolve, reject) });
      this.#start();
    });
  }

  /** Runs something while no write is under way; writes that arrive meanwhile wait. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#tasks.push(() =>
        // What failed meanwhile left an unknown tail, and nothing may be built behind it.
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
  async commitNow(plan: (group: WriteGroup) => void): Promise<void> {
    const group = this.#begin();
    const settled = group.settled();
    const outcome = this.#plan(plan, group);
    await this.#flush(group);
    await settled;
    if ('error' in outcome) throw outcome.error;
  }

  /** Takes no more writes, and resolves when all before are settled. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#running) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Refuses writes from now on: what is on the disk is not known any more. */
  poison(error: LatchkeyError): void {
    this.#failure ??= error;
  }

  #hasRoom(): boolean {
    if (this.#tasks.length > 0 || this.#exclusive || this.#rollWanted) return false;
    const { active, segmentBytes } = this.#target;
    const last = this.#forming ?? this.#inFlight;
    // A segment ends with the group that fills it.
    this.#rollWanted = (last?.end ?? active.length) >= segmentBytes;
    if (this.#rollWanted) return false;
    const frame = this.#forming?.frame;
    return frame === undefined || (frame.length < MAX_GROUP_BYTES && frame.records < MAX_GROUP_RECORDS);
  }

  async #admit<T>(plan: (group: WriteGroup) => T): Promise<T> {
    this.#forming ??= this.#begin();
    const group = this.#forming;
    // Even a refusal waits for the group: what it was judged by may not be durable yet.
    const settled = group.settled();
    this.#start();
    const outcome = this.#plan(plan, group);
    await settled;
    if ('error' in outcome) throw outcome.error;
    return outcome.result;
  }

  #plan<T>(
    plan: (group: WriteGroup) => T,
    group: WriteGroup,
  ): { readonly result: T } | { readonly error: unknown } {
    const before = group.frame.records;
    try {
      return { result: plan(group) };
    } catch (error) {
      // Half a write in the group could only be a defect of this program; it must not reach the disk.
      if (group.frame.records !== before) this.poison(writeFailure(error, 'a group of records'));
      return { error };
    }
  }

  #begin(): WriteGroup {
    const { active, sealer } = this.#target;
    const before = this.#inFlight;
    const frame = this.#spare.pop() ?? new FrameBuilder();
    const position =
      before === undefined
        ? { base: active.length, firstOrdinal: active.nextOrdinal }
        : { base: before.end, firstOrdinal: before.nextOrdinal };
    return new WriteGroup(active, position, frame, sealer);
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    // All writes of this turn of the event loop share the first group.
    queueMicrotask(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (true) {
      if (this.#forming !== undefined) await this.#flush(this.#forming);
      else if (this.#rollWanted) await this.#roll();
      else if (this.#tasks.length > 0) await this.#runTask();
      else if (this.#queue.isEmpty) break;
      this.#refill();
    }
    this.#running = false;
    this.#target.sealer.wipe();
    for (const idle of this.#onIdle.splice(0)) idle();
  }

  async #runTask(): Promise<void> {
    this.#exclusive = true;
    await this.#tasks.shift()?.();
    this.#exclusive = false;
  }

  #refill(): void {
    if (this.#failure !== undefined) this.#queue.rejectAll(this.#failure);
    while (!this.#queue.isEmpty && this.#hasRoom()) this.#queue.shift()?.admit();
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
      storeId: this.#target.storeId,
      firstOrdinal,
      watermark: firstOrdinal - 1,
      previous: segment.digest,
      chainKey: segment.keys.chainKey.reveal(),
    });
    let room: number;
    try {
      room = await appendDurably(segment, frame, this.#roomBehind(base + frame.length));
    } catch (error) {
      return this.#undo(segment, error);
    }
    segment.length = base + frame.length;
    segment.room = room;
    segment.nextOrdinal = group.nextOrdinal;
    segment.digest = digest;
    this.#target.faults.writeEnded();
    // In the same step as the head, so that no snapshot sees one without the other.
    for (const effect of group.effects) this.#target.apply(effect);
    return undefined;
  }

  /** Room never reaches beyond where the segment ends. */
  #roomBehind(end: number): number {
    const { roomBytes, segmentBytes } = this.#target;
    return Math.max(0, Math.min(roomBytes, segmentBytes - end));
  }

  /** Cuts off the tail that may be there, and gives up the group that was sealed to follow. */
  async #undo(segment: Segment, cause: unknown): Promise<LatchkeyError> {
    const error = writeFailure(cause, 'a group of records');
    this.#target.faults.writeEnded(error);
    const isUsable = error.code === 'STORE_DISK_FULL' && (await isCutOff(segment));
    if (!isUsable) this.poison(error);
    const next = this.#forming;
    this.#forming = undefined;
    next?.fail(error);
    if (next !== undefined) this.#recycle(next);
    return error;
  }

  async #roll(): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#target.roll();
    } catch (error) {
      // Without a new segment these writes have no place; later ones try again.
      this.#queue.rejectAll(this.#taskFailed(error));
    }
    this.#rollWanted = false;
  }

  #taskFailed(error: unknown): unknown {
    if (error instanceof LatchkeyError && error.family !== 'problem') return error;
    const failure = writeFailure(error, 'the store');
    this.#target.faults.writeEnded(failure);
    if (failure.code === 'STORE_WRITE_FAILED') this.poison(failure);
    return failure;
  }
}

const isCutOff = (segment: Segment): Promise<boolean> =>
  cutTail(segment).then(
    () => true,
    () => false,
  );
