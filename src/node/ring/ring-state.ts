import { z } from 'zod';
import { toHex } from '../../bytes/hex.ts';
import { parseWire } from '../../protocol/decode.ts';
import { constantsDigest, type Registry, type RingConstants } from '../../ring/members/registry.ts';
import { RegistryLog } from '../../ring/members/registry-log.ts';
import { decodeLogPart, encodeLogPart } from '../../ring/members/registry-wire.ts';
import type { BatchOperation, Namespace, Store } from '../../store/api/store-api.ts';

/** Where a node keeps what it knows of the ring, besides the records. */
export const RING_NAMESPACE = 'latchkey/ring';
const SERVED = 'served';
const COVERED = 'covered';
const WHAT = 'state of the ring';
const REGISTRY = 'registry/';

const served = z.strictObject({
  view: z.int().min(0),
  complete: z.int().min(-1),
  anchor: z.string(),
  storeGeneration: z.int().min(0),
});
const covered = z.strictObject({ upTo: z.int().min(0), constants: z.string() });

/** How a node served when it stopped. */
export interface Served {
  /** Block of the view by which it served. */
  readonly view: number;
  /** Block of the newest view for which its records are complete; -1 for none. */
  readonly complete: number;
  /** Its own anchor in the newest registry, hex. */
  readonly anchor: string;
  /** Generation of the store's log: another one when the store was restored, or rewritten under another key. */
  readonly storeGeneration: number;
}

const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const json = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
const nameOf = (block: number): string => `${REGISTRY}${`${block}`.padStart(16, '0')}`;

/** The durable memory of a member: registries, and how it served. What it promises to others is written here first. */
export class RingState {
  readonly #store: Store;
  readonly #namespace: Namespace;
  /** Digest of the constants, hex. */
  readonly #constants: string;
  #log: RegistryLog;
  /** Whether the log is on the disk; what lies there otherwise is of a ring with other constants. */
  #isStored = false;
  #served: Served | undefined;

  private constructor(store: Store, namespace: Namespace, constants: RingConstants) {
    this.#store = store;
    this.#namespace = namespace;
    this.#constants = toHex(constantsDigest(constants));
    this.#log = RegistryLog.from(constants);
  }

  /**
   * Reads it; what is of a ring with other constants does not count.
   * @throws EvidenceError FIELD_INVALID, RING_VIEWS_DIFFER when the records are damaged, and what the store throws.
   */
  static async open(store: Store, constants: RingConstants): Promise<RingState> {
    const namespace = await store.namespace(RING_NAMESPACE);
    const state = new RingState(store, namespace, constants);
    const bytes = await namespace.get(COVERED);
    if (bytes === undefined) return state;
    const { upTo, constants: stored } = parseWire(covered, json(bytes), WHAT);
    if (stored !== state.#constants) return state;
    const registries: Registry[] = [];
    let before: Uint8Array | undefined;
    for await (const [, value] of namespace.entries({ prefix: REGISTRY })) {
      const part = decodeLogPart(new TextDecoder().decode(value)).part();
      before ??= part.before;
      registries.push(...part.registries);
    }
    if (before !== undefined) state.#log = RegistryLog.of({ before, registries, upTo });
    state.#isStored = before !== undefined;
    const last = await namespace.get(SERVED);
    if (last !== undefined) state.#served = parseWire(served, json(last), WHAT);
    return state;
  }

  get log(): RegistryLog {
    return this.#log;
  }

  /** How it served when it stopped; `undefined` for a new member. */
  get served(): Served | undefined {
    return this.#served;
  }

  /** Keeps a longer log: durable before another node is told of it. @param needed as for `RegistryLog.trimmed`. */
  async saveLog(log: RegistryLog, needed: number): Promise<void> {
    const trimmed = log.trimmed(needed);
    const kept = new Set(trimmed.registries.map(({ block }) => block));
    const stored = new Set(this.#isStored ? this.#log.registries.map(({ block }) => block) : []);
    const namespace = RING_NAMESPACE;
    const operations: BatchOperation[] = [];
    let { before } = trimmed.part();
    for (const registry of trimmed.registries) {
      const value = new TextEncoder().encode(
        encodeLogPart({ before, registries: [registry], upTo: registry.block }),
      );
      if (!stored.has(registry.block))
        operations.push({ kind: 'put', namespace, name: nameOf(registry.block), value });
      before = registry.digest;
    }
    for (const name of this.#namespace.names({ prefix: REGISTRY }))
      if (!kept.has(Number(name.slice(REGISTRY.length))))
        operations.push({ kind: 'delete', namespace, name });
    // In the same step: how it served in another ring says nothing of this one.
    if (!this.#isStored && this.#namespace.has(SERVED))
      operations.push({ kind: 'delete', namespace, name: SERVED });
    operations.push({
      kind: 'put',
      namespace,
      name: COVERED,
      value: text({ upTo: trimmed.upTo, constants: this.#constants }),
    });
    await this.#store.batch(operations);
    this.#log = trimmed;
    this.#isStored = true;
  }

  /** Keeps how the node serves; nothing is written when it is the same as before. */
  async saveServed(changed: Served): Promise<void> {
    if (JSON.stringify(changed) === JSON.stringify(this.#served)) return;
    await this.#namespace.put(SERVED, text(changed));
    this.#served = changed;
  }
}
