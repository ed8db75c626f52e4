import type { CollateralStatus } from '../collateral/collateral-source.ts';

/** What the status page shows: the answer of `GET /data.json` of its listener. Texts of peers are in it as they came. */
export interface PageData {
  /** ISO 8601. */
  readonly readAt: string;
  /** The same as `latchkey status --json`. */
  readonly status: ShownStatus;
  /** `undefined` while the node does not serve. */
  readonly serving?: {
    readonly clients: readonly ShownClient[];
    /** Clients in addition to those that are listed. */
    readonly notListed: number;
  };
  readonly chain: {
    /** Newest finalized block; 0 before the first. */
    readonly block: number;
    /** How old that block is, in milliseconds; absent before the first block with a time. */
    readonly ageMs?: number;
  };
  readonly collateral: readonly CollateralStatus[];
  /** `undefined` while the store is closed. */
  readonly disk?: {
    readonly storeBytes: number;
    readonly liveBytes: number;
    readonly freeBytes?: number;
    readonly takesWrites: boolean;
  };
  /** The newest first. */
  readonly refusals: readonly ShownRefusal[];
}

/** The fields of a node's status that the page uses. */
export interface ShownStatus {
  readonly mode: string;
  readonly state: string;
  readonly ready: boolean;
  readonly summary: string;
  readonly advice: readonly string[];
  readonly cause?: string;
  readonly accountId?: string;
  /** Of a locked node: by its keyslot file, not proved. */
  readonly keyslotAccount?: string;
  readonly instanceId?: string;
  readonly live?: number;
  readonly n?: number;
  readonly t?: number;
  /** Of a locked node: slots that gave their key, and how many open the store. */
  readonly have?: number;
  readonly need?: number;
  readonly generation?: number;
  readonly slots?: readonly {
    readonly server: string;
    readonly endpoint?: string;
    readonly standing: string;
    readonly isBoundElsewhere?: boolean;
  }[];
  readonly clients: number;
  readonly clientsAtRisk: number;
  readonly waitingForFormerClients?: number;
  readonly draining?: { readonly remaining: number; readonly unmovable: number; readonly moved: number };
  readonly olderGenerationOpen?: readonly {
    readonly generation: number;
    readonly needed: number;
    readonly unanswered: readonly string[];
  }[];
  readonly formerLineageOpen?: readonly {
    readonly incarnation: number;
    readonly unanswered: readonly string[];
  }[];
  readonly olderDropped?: number;
  readonly restartRefusal?: string;
  readonly storeCheckpointIgnored?: boolean;
  readonly storeFault?: { readonly code: string; readonly detail: string };
  readonly tcbWarnings?: { readonly checkedAt: string; readonly summary: string };
  readonly custody?: { readonly custodians: readonly string[]; readonly threshold: number };
  readonly fleet?: {
    readonly authority: string;
    readonly manifest?: { readonly serial: number };
    readonly awaited?: { readonly serial: number };
    readonly conflict?: { readonly serial: number };
    readonly handover?: { readonly to: string; readonly takesEffect: string };
    readonly serversBehind?: number;
    readonly waiting?: readonly { readonly entry: string; readonly at: string }[];
    readonly ending?: readonly { readonly entry: string; readonly at: string }[];
  };
  readonly ring?: {
    readonly standing: string;
    readonly members: number;
    readonly records: number;
    readonly bytes: number;
  };
  readonly audit?: { readonly sequence: number; readonly behind: number };
}

/** A node with keys at this one. */
export interface ShownClient {
  readonly account: string;
  /** Its address on the chain, once a drain has looked it up. */
  readonly endpoint?: string;
  readonly keys: number;
  readonly isAtRisk: boolean;
}

/** A request that this node refused. */
export interface ShownRefusal {
  /** ISO 8601. */
  readonly at: string;
  readonly code: string;
  /** What the code means. */
  readonly meaning: string;
  readonly detail: string;
  readonly requestId: string;
}

/** What the page shows of a fleet: the answer of `GET /fleet.json` of its listener. Texts of nodes are in it. */
export interface ShownFleet {
  /** Whether a round of questions is under way. */
  readonly isAsking: boolean;
  /** When the answers were complete, ISO 8601; absent while there are none that are young enough. */
  readonly askedAt?: string;
  /** Why there are none. */
  readonly problem?: string;
  readonly nodes: readonly ShownFleetNode[];
  /** Nodes that may be restarted now, one at a time and in this order, by their `target`. */
  readonly order: readonly string[];
}

/** One node of the fleet. */
export interface ShownFleetNode {
  /** Its URL; the own node has its address after the words `this node`. */
  readonly target: string;
  /** SS58: by the chain, or by the node where the chain does not show it. */
  readonly account?: string;
  /** Absent where it gave no answer that counts. */
  readonly state?: string;
  /** The state in words, or why it is not known. */
  readonly summary: string;
  readonly ready: boolean;
  readonly restart: 'yes' | 'no' | 'unknown';
  /** Why not, or what is not known: the first ones. */
  readonly reasons: readonly string[];
  readonly moreReasons: number;
  /** Accounts of stores at risk if it stopped now: the first ones. */
  readonly atRisk: readonly string[];
  /** How many there are, also by its own count. */
  readonly atRiskCount: number;
}
