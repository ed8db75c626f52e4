import type { AccountId } from '../../bytes/fixed-bytes.ts';
import type { FileSystem } from '../../disk/file-system.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';
import type { Head } from '../../lineage/head.ts';
import type { MainLoop } from '../../observe/main-loop.ts';
import type { StoreObserver } from '../../store/api/health.ts';
import type { Store } from '../../store/api/store-api.ts';
import type { FlooredClock } from '../../time/clock.ts';
import type { Healer, HealerParts } from '../heal/healer.ts';
import type { LockedCause } from '../node/locked-cause.ts';
import type { NodeFolder } from '../node/node-folder.ts';
import type { NodeState } from '../node/node-state.ts';
import type { RecoveredKey } from '../obtain/recovery.ts';

/** The parts that a guardian uses. */
export interface GuardianParts extends HealerParts {
  readonly fileSystem: FileSystem;
  /** Absolute path. */
  readonly dataFolder: string;
  readonly clock: FlooredClock;
  readonly clockToleranceMs: number;
  /** How far the time of the key servers may be ahead of the chain's and the own. */
  readonly maxTimeJumpMs: number;
  /** How long a node may write without word from its key servers; `undefined` without a lease. */
  readonly leaseMs?: number | undefined;
  /** Between two ticks of healing; moved by jitter. */
  readonly intervalMs: number;
  /** When given, this node never becomes a new one. */
  readonly expectedAccount?: AccountId | undefined;
  /** Whether a new node may come into being before a server holds a slot of it; not when its key leaves at once. */
  readonly mayStayUnbacked?: boolean;
  readonly onState: (state: NodeState) => void;
  /** What the store remembers of the rules by which servers are judged. */
  readonly memory?: RulesMemory;
  /** Receives faults of the store's disk. */
  readonly storeObserver?: StoreObserver;
  /** Whether the caller holds the lock of the data folder already, for as long as the guardian lives. */
  readonly holdsFolder?: boolean;
  /** Tells causes apart that an error alone does not show, such as a clock that is ahead. */
  readonly causeOf?: (error: unknown) => LockedCause | undefined;
  /** Is told of each turn of healing. */
  readonly mainLoop?: MainLoop;
}

/** Rules that a store remembers, and that may be newer than those by which it was opened. */
export interface RulesMemory {
  /**
   * The store is open; unless this process made it, it takes no writes yet.
   * @param isNew whether this process made it.
   * @returns whether the servers that opened it were judged by older rules than it remembers.
   */
  open(store: Pick<Store, 'namespace' | 'hasNamespace'>, isNew: boolean): Promise<boolean>;
  /** The store is closed again, to be opened by the rules that it remembers. */
  close(): void;
}

/** Where a store key that custodians gave waits for the next attempt to open the store. */
export interface CustodyKey {
  /** The key for this keyslot file, if there is one; every call makes copies, which the caller wipes. */
  take(file: KeyslotFile): RecoveredKey | undefined;
}

/** The parts of the guardian that the stages of a boot (creation, recovery) use. */
export interface BootStage {
  readonly parts: GuardianParts;
  readonly folder: NodeFolder;
  readonly custody: CustodyKey;
  /** Aborted when the guardian is closed. */
  readonly stopped: AbortSignal;
  /** The newest head that refused a store of this process. */
  readonly refusedBy: () => Head | undefined;
  /** Keeps a head that refused a store, until the process ends. */
  readonly noteRefusal: (head: Head | undefined) => void;
  /** Says how far the boot is. */
  readonly report: (state: NodeState) => void;
  /** One check of all slots by a healer; a failure is reported, not thrown. Returns the state after the check. */
  readonly tick: (healer: Healer) => Promise<NodeState>;
  /** Sleeps for about this many milliseconds, or until an event wakes it. */
  readonly pause: (milliseconds: number) => Promise<void>;
}
