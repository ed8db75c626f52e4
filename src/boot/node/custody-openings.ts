import { z } from 'zod';
import { utf8 } from '../../bytes/concat.ts';
import type { BatchOperation, Store } from '../../store/api/store-api.ts';
import { MAX_CUSTODIANS } from '../../trust/custody-set.ts';
import { LINEAGE_NAMESPACE } from './boot-record.ts';

const OPENINGS = 'custody-openings';
/** Openings that are remembered. */
const MAX_OPENINGS = 16;

const openingSchema = z.strictObject({
  openedAtMs: z.int().nonnegative(),
  generation: z.int().min(1),
  custodians: z.array(z.string()).max(MAX_CUSTODIANS),
  forced: z.boolean(),
});

const recordSchema = z.strictObject({
  version: z.literal(1),
  openings: z.array(openingSchema).max(MAX_OPENINGS),
});

/**
 * One opening of a store by custodians: when by the clock of the node, the generation of slots, the names of the
 * custodians, and whether it was forced although t key servers could still give their keys.
 */
export type CustodyOpening = z.output<typeof openingSchema>;

/** What a store remembers of its openings by custodians: a log can be lost, and the host can change it. */
export class CustodyOpenings {
  #list: readonly CustodyOpening[];

  constructor(list: readonly CustodyOpening[] = []) {
    this.#list = list;
  }

  /** Reads them from an open store. A record that is none counts as no record: it must not lock a store. */
  static async read(store: Pick<Store, 'namespace'>): Promise<CustodyOpenings> {
    const bytes = await (await store.namespace(LINEAGE_NAMESPACE)).get(OPENINGS);
    return new CustodyOpenings(bytes === undefined ? [] : decode(bytes));
  }

  /** The last {@link MAX_OPENINGS} of them, the newest last. */
  get list(): readonly CustodyOpening[] {
    return this.#list;
  }

  /**
   * Adds an opening.
   * @returns the operation that keeps all of them in the store; none without an opening.
   */
  recordOf(opening: CustodyOpening | undefined): readonly BatchOperation[] {
    if (opening === undefined) return [];
    if (this.#list.at(-1) !== opening) this.#list = [...this.#list, opening].slice(-MAX_OPENINGS);
    const value = utf8(JSON.stringify({ version: 1, openings: this.#list }));
    return [{ kind: 'put', namespace: LINEAGE_NAMESPACE, name: OPENINGS, value }];
  }
}

function decode(bytes: Uint8Array): readonly CustodyOpening[] {
  try {
    return recordSchema.parse(JSON.parse(new TextDecoder().decode(bytes))).openings;
  } catch {
    return [];
  }
}
