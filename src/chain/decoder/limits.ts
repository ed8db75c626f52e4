/** The limits that the watchdog of a decoder process enforces. */
export interface WatchdogLimits {
  /** Milliseconds from the metadata's arrival. */
  readonly deadlineMs: number;
  /** Resident memory of the whole process, heap and everything else. */
  readonly maxRssBytes: number;
  /** Processor time of the whole process. */
  readonly maxCpuMs: number;
}
