import { systemError } from './disk-errors.ts';

/** Operations that a plan may fail; those in {@link mutating} are steps at which the power can go. */
export type OperationKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'list'
  | 'stat'
  | 'syncDirectory';

/** One operation about to be done. */
export interface DiskOperation {
  readonly kind: OperationKind;
  readonly path: string;
  /** Its number among the steps; operations that change nothing carry the number of the step before them. */
  readonly step: number;
}

/** How an operation fails. */
export interface Fault {
  /** Such as EIO, ENOSPC or EROFS. */
  readonly code: string;
  /** A failing write leaves this many of its bytes (default 0): a short write. */
  readonly writtenBytes?: number;
  /** A failing sync forgets what was dirty, as Linux does: a later sync succeeds without it. */
  readonly dropsDirty?: boolean;
}

/** System calls that are named otherwise than the operation. */
const calls: Partial<Record<OperationKind, string>> = {
  create: 'open',
  sync: 'fdatasync',
  truncate: 'ftruncate',
  syncDirectory: 'fsync',
  list: 'scandir',
};

const mutating: ReadonlySet<OperationKind> = new Set([
  'create',
  'write',
  'sync',
  'truncate',
  'rename',
  'unlink',
  'mkdir',
  'rmdir',
  'syncDirectory',
]);

/** Counts operations, cuts the power and lets them fail by plan. */
export class OperationLog {
  steps = 0;
  cutAt = Number.POSITIVE_INFINITY;
  plan: ((operation: DiskOperation) => Fault | undefined) | undefined;
  capacityBytes: number | undefined;
  /** How many handles are open: a store that was closed must leave none. */
  openHandles = 0;
  /** What was done, for the message of a failing test. */
  readonly history: string[] = [];
  readonly #usedBytes: () => number;

  constructor(usedBytes: () => number, capacityBytes: number | undefined) {
    this.#usedBytes = usedBytes;
    this.capacityBytes = capacityBytes;
  }

  /** Whether the power is off. */
  get off(): boolean {
    return this.steps >= this.cutAt;
  }

  /** Lets an operation begin, or throws. A failing sync that forgets what was dirty calls `drop`. */
  async enter(kind: OperationKind, path: string, drop?: () => void): Promise<void> {
    // Other callers get a turn, as they do while a real disk works.
    await null;
    const fault = this.begin(kind, path);
    if (fault === undefined) return;
    if (fault.dropsDirty === true) drop?.();
    throw systemError(fault.code, calls[kind] ?? kind, path);
  }

  /** As {@link enter}, at once, and leaves the failing to the caller. */
  begin(kind: OperationKind, path: string): Fault | undefined {
    if (this.off) throw systemError('EIO', 'power is off', path);
    if (mutating.has(kind)) {
      this.steps++;
      if (this.off) throw systemError('EIO', 'power goes off', path);
      this.history.push(`${this.steps} ${kind} ${path}`);
    }
    const fault = this.plan?.({ kind, path, step: this.steps });
    if (fault !== undefined)
      this.history.push(`  which fails: ${fault.code}${fault.dropsDirty ? ', dirty pages dropped' : ''}`);
    return fault;
  }

  /** How many more bytes the disk takes. */
  roomBytes(): number {
    return this.capacityBytes === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, this.capacityBytes - this.#usedBytes());
  }
}
