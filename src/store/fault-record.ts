import type { LatchkeyError } from '../errors/latchkey-error.ts';
import type { StoreFault, StoreObserver } from './api/health.ts';

/** Remembers the faults that a store met, and tells the observer about them and about work that was done. */
export class FaultRecord {
  readonly #observer: StoreObserver;
  readonly #now: () => number;
  #write: StoreFault | undefined;
  #lastDisk: StoreFault | undefined;
  #compaction: StoreFault | undefined;

  /** @param now milliseconds since 1970. */
  constructor(observer: StoreObserver = {}, now: () => number = Date.now) {
    this.#observer = observer;
    this.#now = now;
  }

  /** Why the last write failed, if it did. */
  get write(): StoreFault | undefined {
    return this.#write;
  }

  /** The last error of the disk, of a read or a write. */
  get lastDisk(): StoreFault | undefined {
    return this.#lastDisk;
  }

  /** Why the last compaction failed, if it did. */
  get compaction(): StoreFault | undefined {
    return this.#compaction;
  }

  checkpointIgnored(): void {
    this.#tell(() => this.#observer.checkpointIgnored?.());
  }

  groupWritten(milliseconds: number): void {
    this.#tell(() => this.#observer.groupWritten?.(milliseconds));
  }

  compacted(): void {
    this.#tell(() => this.#observer.compacted?.());
  }

  /** A write reached the disk, or (with an error) did not. */
  writeEnded(error?: LatchkeyError): void {
    if (error === undefined && this.#write === undefined) return;
    const before = this.#write;
    this.#write = this.#faultOf(error, before);
    if (this.#write !== undefined) this.#lastDisk = this.#write;
    if (this.#write !== before) this.#tell(() => this.#observer.writeFaultChanged?.(this.#write));
  }

  readFailed(error: LatchkeyError): void {
    const fault = { error, sinceMs: this.#now() };
    this.#lastDisk = fault;
    this.#tell(() => this.#observer.readFailed?.(fault));
  }

  /** A file could not be closed without an error; its bytes were durable before. */
  closeFailed(error: LatchkeyError): void {
    const fault = { error, sinceMs: this.#now() };
    this.#lastDisk = fault;
    this.#tell(() => this.#observer.closeFailed?.(fault));
  }

  /** A compaction succeeded, or (with an error) failed. */
  compactionEnded(error?: LatchkeyError): void {
    const before = this.#compaction;
    this.#compaction = this.#faultOf(error, before);
    if (this.#compaction !== before)
      this.#tell(() => this.#observer.compactionFaultChanged?.(this.#compaction));
  }

  /** The same fault where the error repeats. */
  #faultOf(error: LatchkeyError | undefined, before: StoreFault | undefined): StoreFault | undefined {
    if (error === undefined) return undefined;
    return before?.error.code === error.code ? before : { error, sinceMs: this.#now() };
  }

  /** An observer that throws must not make a write fail. */
  #tell(notify: () => void): void {
    try {
      notify();
    } catch {
      // Nothing of the store depends on the observer.
    }
  }
}
