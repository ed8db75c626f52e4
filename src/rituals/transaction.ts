import { AsyncLocalStorage } from 'node:async_hooks';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { BatchOperation, NameRange, Namespace, Store } from '../store/api/store-api.ts';
import { KeyedLock } from '../store/keyed-lock.ts';
import {
  decodeField,
  encodeField,
  type Fields,
  type FieldValues,
  fieldName,
  fieldType,
  type RecordId,
  type RecordType,
} from './record-type.ts';
import { queryRecords, type RecordQuery, type RecordSource } from './record-view.ts';

/** One record inside a transaction. */
export interface WritableRecord<F extends Fields> {
  readonly id: RecordId;
  /** The field's value, including own writes. @throws TypeError for an unknown field, or after the end. */
  get<Name extends keyof F & string>(field: Name): Promise<FieldValues[F[Name]] | undefined>;
  /** Sets a field; `undefined` removes it. @throws TypeError for another type, an unknown field, or after the end. */
  set<Name extends keyof F & string>(field: Name, value: FieldValues[F[Name]] | undefined): void;
  /** Removes all fields. */
  delete(): void;
}

/** The operations of a transaction; after its end each of them throws. */
export interface Transaction {
  /** A record by its id, whether or not it exists yet. */
  record<F extends Fields>(type: RecordType<F>, id: RecordId): WritableRecord<F>;
  /** Records that match, including the writes of this transaction. @throws EvidenceError RECORD_NOT_FOUND. */
  queryBy<F extends Fields>(
    type: RecordType<F>,
    query?: RecordQuery<F>,
  ): Promise<readonly WritableRecord<F>[]>;
}

const locksOfStores = new WeakMap<Store, KeyedLock<'records'>>();
const inside = new AsyncLocalStorage<true>();

/**
 * Runs one transaction, with no other at the same time. All its writes are carried out, durably, or none.
 * @throws ProblemError TRANSACTION_ABORTED, with `cause`, when an error escapes from `work`; nothing was written.
 * @throws TypeError when called from within a transaction, which would wait for itself.
 */
export async function runTransaction<T>(
  store: Store,
  records: Namespace,
  work: (transaction: Transaction) => Promise<T> | T,
): Promise<T> {
  if (inside.getStore() === true) throw new TypeError('a transaction inside a transaction');
  const lock = locksOfStores.get(store) ?? new KeyedLock<'records'>();
  locksOfStores.set(store, lock);
  return lock.run('records', async () => {
    const pending = new PendingTransaction(records);
    let result: T;
    try {
      result = await inside.run(true, async () => work(pending));
    } catch (cause) {
      throw new ProblemError('TRANSACTION_ABORTED', 'the transaction was aborted; nothing was written', {
        cause,
      });
    } finally {
      pending.close();
    }
    const operations = pending.operations();
    if (operations.length > 0) await store.batch(operations);
    return result;
  });
}

class PendingTransaction implements Transaction, RecordSource {
  readonly #records: Namespace;
  /** Written here and not yet in the store; `undefined` removes. */
  readonly #written = new Map<string, Uint8Array | undefined>();
  #open = true;

  constructor(records: Namespace) {
    this.#records = records;
  }

  record<F extends Fields>(type: RecordType<F>, id: RecordId): WritableRecord<F> {
    this.#requireOpen();
    const name = (field: string): string => fieldName(type.name, field, id);
    const set = (field: string, value: unknown): void => {
      this.#requireOpen();
      const declared = fieldType(type, field);
      const bytes = value === undefined ? undefined : encodeField(declared, value, `${type.name}.${field}`);
      this.#written.set(name(field), bytes);
    };
    return {
      id,
      get: async <Name extends keyof F & string>(field: Name) => {
        fieldType(type, field);
        const bytes = await this.get(name(field));
        // The type parameter is what fieldType has just looked up.
        const declared = type.fields[field] as F[Name];
        return bytes === undefined ? undefined : decodeField(declared, bytes, `${type.name}.${field}`);
      },
      set,
      delete: () => {
        for (const field of Object.keys(type.fields)) set(field, undefined);
      },
    };
  }

  async queryBy<F extends Fields>(
    type: RecordType<F>,
    query: RecordQuery<F> = {},
  ): Promise<readonly WritableRecord<F>[]> {
    const found = await queryRecords(this, type, query);
    return found.map(({ id }) => this.record(type, id));
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    this.#requireOpen();
    return this.#written.has(name) ? this.#written.get(name) : this.#records.get(name);
  }

  *names(range: NameRange = {}): Generator<string> {
    this.#requireOpen();
    const prefix = range.prefix ?? '';
    for (const name of this.#records.names({ prefix })) if (!this.#written.has(name)) yield name;
    for (const [name, value] of this.#written) if (value !== undefined && name.startsWith(prefix)) yield name;
  }

  operations(): readonly BatchOperation[] {
    const namespace = this.#records.name;
    return [...this.#written]
      .filter(([name, value]) => value !== undefined || this.#records.has(name))
      .map(([name, value]) =>
        value === undefined ? { kind: 'delete', namespace, name } : { kind: 'put', namespace, name, value },
      );
  }

  close(): void {
    this.#open = false;
  }

  #requireOpen(): void {
    if (!this.#open) throw new TypeError('the transaction has ended');
  }
}
