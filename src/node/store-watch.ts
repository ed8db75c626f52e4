import { adviceOn, lockedCauseOf } from '../boot/node/locked-cause.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { StoreFault, StoreHealth, StoreObserver } from '../store/api/health.ts';

const writeAdvice = ({ error }: StoreFault): string =>
  `The store cannot write (${error.code}). ${adviceOn(lockedCauseOf(error))}`;

const CHECKPOINT_ADVICE =
  'The checkpoint of the store’s index was missing, damaged or exchanged when the store was opened, and was ignored: everything was read from the log, so no record is affected. Look who may write to the data folder, and check the disk. Shown until the next start.';

/** Makes faults of the disk visible: as events, as metrics, and for `/readyz` and the agent's `/status`. */
export class StoreWatch implements StoreObserver {
  readonly #log: Log;
  readonly #metrics: Metrics;
  #writeFault: StoreFault | undefined;
  #isCheckpointIgnored = false;

  constructor(parts: { readonly log: Log; readonly metrics: Metrics }) {
    this.#log = parts.log;
    this.#metrics = parts.metrics;
  }

  checkpointIgnored(): void {
    this.#isCheckpointIgnored = true;
    this.#metrics.storeCheckpointIgnored.set(1);
    this.#log('warn', 'store.checkpoint-ignored');
  }

  writeFaultChanged(fault: StoreFault | undefined): void {
    this.#writeFault = fault;
    this.#metrics.storeWriteFault.set(fault === undefined ? 0 : 1);
    if (fault === undefined) this.#log('info', 'store.writes-again');
    else this.#note('store.write-failed', fault);
  }

  groupWritten(milliseconds: number): void {
    this.#metrics.storeCommitSeconds.observe(milliseconds / 1000);
  }

  compacted(): void {
    this.#metrics.storeCompactions.inc();
  }

  readFailed(fault: StoreFault): void {
    this.#note('store.read-failed', fault);
  }

  closeFailed(fault: StoreFault): void {
    this.#note('store.close-failed', fault);
  }

  compactionFaultChanged(fault: StoreFault | undefined): void {
    if (fault === undefined) this.#log('info', 'store.compacts-again');
    else this.#note('store.compaction-failed', fault);
  }

  /** Brings the metrics of an open store up to date. */
  async refresh(store: { health(): Promise<StoreHealth> }): Promise<void> {
    const { diskBytes, liveBytes, freeBytes, takesWrites } = await store.health();
    this.#metrics.storeBytes.set(diskBytes);
    this.#metrics.storeLiveBytes.set(liveBytes);
    if (freeBytes !== undefined) this.#metrics.storeFreeBytes.set(freeBytes);
    this.#metrics.storeTakesWrites.set(takesWrites ? 1 : 0);
  }

  /** What `/readyz` says of the store, while its last write failed or its checkpoint was ignored; nothing otherwise. */
  get report(): Readonly<Record<string, unknown>> {
    const ignored = this.#isCheckpointIgnored ? { storeCheckpointIgnored: true } : {};
    if (this.#writeFault === undefined) return ignored;
    const { error, sinceMs } = this.#writeFault;
    return { ...ignored, storeFault: { code: error.code, detail: error.message, sinceMs } };
  }

  /** What an operator does about it; `undefined` while there is nothing. */
  get advice(): string | undefined {
    const fault = this.#writeFault && writeAdvice(this.#writeFault);
    if (!this.#isCheckpointIgnored) return fault;
    return fault === undefined ? CHECKPOINT_ADVICE : `${fault} ${CHECKPOINT_ADVICE}`;
  }

  #note(event: string, { error }: StoreFault): void {
    this.#metrics.storeFaults.inc({ code: error.code });
    this.#log('error', event, { code: error.code, detail: error.message });
  }
}
