/**
 * Latchkey as a library. A node that embeds it builds a {@link LatchkeyNode} from a configuration and uses its open
 * store; everything outside of the node's own logic can be replaced through `PartOverrides`.
 *
 * @example
 * ```ts
 * const config = loadConfig(await readFile('latchkey.yaml', 'utf8'), process.env);
 * await using node = new LatchkeyNode(config, buildParts(config));
 * await node.start();
 * ```
 */
export type { NodeState, SlotReport } from './boot/node/node-state.ts';
export type { OpenNode } from './boot/node/open-node.ts';
export { SecretBytes } from './bytes/secret-bytes.ts';
export { loadConfig } from './config/load-config.ts';
export type { Config } from './config/schema.ts';
export { DecryptionService } from './decryptions/decryption-service.ts';
export { EpochJournal } from './epochs/epoch-journal.ts';
export { type ErrorCode, errorCodes } from './errors/codes.ts';
export { EvidenceError, LatchkeyError, ProblemError, RefusalError } from './errors/latchkey-error.ts';
export { LatchkeyNode, type NodeOptions } from './node/latchkey-node.ts';
export { buildParts, type NodeParts, type PartOverrides } from './node/parts.ts';
export { Datastore } from './rituals/datastore.ts';
export type { StoreFault, StoreHealth, StoreObserver } from './store/api/health.ts';
export type { LogHead } from './store/api/log-head.ts';
export type { BatchOperation, NameRange, Namespace, Snapshot, Store } from './store/api/store-api.ts';
export { type Reservation, ReservedNames, type ReservedNamesOptions } from './store/reservations.ts';
export { SealedStore } from './store/sealed-store.ts';
