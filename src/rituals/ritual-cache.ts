import { copyBytes } from '../bytes/copy-bytes.ts';
import { requireInteger } from '../bytes/require-value.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { BatchOperation, Namespace, Store } from '../store/api/store-api.ts';
import { fromRecordJson, toRecordJson } from './record-json.ts';
import { idText } from './ritual.ts';

/** Names one of the two transactions that a node posts for a ritual. */
export interface PhaseId {
  readonly ritualId: number;
  /** 1: transcript, 2: aggregation. */
  readonly phase: 1 | 2;
}

/** One validator of a ritual. */
export interface Validator {
  /** As the chain writes it. */
  readonly address: string;
  readonly publicKey: Uint8Array;
}

/** The data of an active ritual that a node keeps, so that it does not ask the chain for every decryption. */
export interface ActiveRitual {
  readonly id: number;
  readonly dkgSize: number;
  readonly threshold: number;
  /** How many validators have aggregated; the ritual is active when it equals `dkgSize`. */
  readonly totalAggregations: number;
  readonly aggregatedTranscript: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Unix times in seconds. */
  readonly initTimestamp: number;
  readonly endTimestamp: number;
}

const CACHE = 'rituals/cache';
const CURSOR = 'scanner-cursor';

/**
 * A copy of an active ritual that the caller cannot change any more.
 * @throws TypeError for bytes that are none, RangeError for numbers that are no integers from 0 to 2^53 - 1.
 */
export function copyActiveRitual(ritual: ActiveRitual): ActiveRitual {
  const { id, dkgSize, threshold, totalAggregations, initTimestamp, endTimestamp } = ritual;
  const numbers = { id, dkgSize, threshold, totalAggregations, initTimestamp, endTimestamp };
  for (const [field, value] of Object.entries(numbers)) requireInteger(value, field);
  return {
    ...numbers,
    aggregatedTranscript: copyBytes(ritual.aggregatedTranscript, 'aggregatedTranscript'),
    publicKey: copyBytes(ritual.publicKey, 'publicKey'),
  };
}

/** As {@link copyActiveRitual}, for validators. @throws TypeError for an address or a key of another type. */
export const copyValidators = (validators: readonly Validator[]): readonly Validator[] =>
  validators.map(({ address, publicKey }) => {
    if (typeof address !== 'string')
      throw new TypeError(`address of a validator must be a string, got ${typeof address}`);
    return { address, publicKey: copyBytes(publicKey, 'publicKey of a validator') };
  });

/** A copy of a phase's name. @throws RangeError for an unknown phase or an id that is not an integer. */
export function copyPhaseId({ ritualId, phase }: PhaseId): PhaseId {
  requireInteger(ritualId, 'ritual id');
  if (phase !== 1 && phase !== 2) throw new RangeError(`phase must be 1 or 2, got ${String(phase)}`);
  return { ritualId, phase };
}

const phaseName = ({ ritualId, phase }: PhaseId): string => `phase/${idText(ritualId)}/${phase}`;
const validatorsName = (id: number): string => `validators/${idText(id)}`;
const activeName = (id: number): string => `active/${idText(id)}`;

/**
 * The data that the original keeps in memory for each ritual: sent transactions, validators, active rituals; and the
 * last block that was scanned. Here it survives restarts. All of it can be read from the chain again.
 */
export class RitualCache {
  readonly #store: Store;
  readonly #cache: Namespace;

  private constructor(store: Store, cache: Namespace) {
    this.#store = store;
    this.#cache = cache;
  }

  static async open(store: Store): Promise<RitualCache> {
    return new RitualCache(store, await store.namespace(CACHE));
  }

  /** Keeps a transaction that was sent, as opaque bytes. */
  storePhaseTransaction(phase: PhaseId, transaction: Uint8Array): Promise<void> {
    return this.#cache.put(phaseName(phase), transaction);
  }

  phaseTransaction(phase: PhaseId): Promise<Uint8Array | undefined> {
    return this.#cache.get(phaseName(phase));
  }

  /** Removes the transaction if its bytes are still these; otherwise it returns false. */
  clearPhaseTransaction(phase: PhaseId, transaction: Uint8Array): Promise<boolean> {
    return this.#cache.compareAndSet(phaseName(phase), transaction, undefined);
  }

  /** Keeps the validators; an empty list removes them. */
  async storeValidators(id: number, validators: readonly Validator[]): Promise<void> {
    if (validators.length > 0) await this.#cache.put(validatorsName(id), toRecordJson(validators));
    else await this.#cache.delete(validatorsName(id));
  }

  /** A copy of the validators, in the order in which they were stored; `undefined` when none are. */
  async validators(id: number): Promise<readonly Validator[] | undefined> {
    const bytes = await this.#cache.get(validatorsName(id));
    return bytes === undefined ? undefined : fromRecordJson<readonly Validator[]>(bytes);
  }

  /** @throws RefusalError RITUAL_NOT_ACTIVE unless all of its validators have aggregated. */
  async storeActiveRitual(ritual: ActiveRitual): Promise<void> {
    if (ritual.totalAggregations !== ritual.dkgSize) {
      throw new RefusalError('RITUAL_NOT_ACTIVE', `ritual ${ritual.id} is not active`, {
        field: 'totalAggregations',
        expected: String(ritual.dkgSize),
        observed: String(ritual.totalAggregations),
      });
    }
    await this.#cache.put(activeName(ritual.id), toRecordJson(ritual));
  }

  async activeRitual(id: number): Promise<ActiveRitual | undefined> {
    const bytes = await this.#cache.get(activeName(id));
    return bytes === undefined ? undefined : fromRecordJson<ActiveRitual>(bytes);
  }

  /** Removes all that is cached for a ritual, in one step, but not its fragment. */
  async clear(id: number): Promise<void> {
    const names = [
      phaseName({ ritualId: id, phase: 1 }),
      phaseName({ ritualId: id, phase: 2 }),
      validatorsName(id),
      activeName(id),
    ];
    const operations = names
      .filter((name) => this.#cache.has(name))
      .map((name): BatchOperation => ({ kind: 'delete', namespace: CACHE, name }));
    if (operations.length > 0) await this.#store.batch(operations);
  }

  /** Keeps the number of the last block that the event scanner has finished. */
  async storeScannerCursor(block: number): Promise<void> {
    requireInteger(block, 'block');
    await this.#cache.put(CURSOR, toRecordJson({ block }));
  }

  async scannerCursor(): Promise<number | undefined> {
    const bytes = await this.#cache.get(CURSOR);
    return bytes === undefined ? undefined : fromRecordJson<{ readonly block: number }>(bytes).block;
  }
}
