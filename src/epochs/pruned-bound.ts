import { u64BigEndian } from '../bytes/integers.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import type { Namespace, Store } from '../store/api/store-api.ts';
import { epochText } from './epoch-names.ts';
import { RecordReader } from './record-codec.ts';

const RECORD = 'pruned-below';

/** The bound below which all epochs are erased. It only grows, and unlike commonware's bound it survives a restart. */
export class PrunedBound {
  readonly #namespace: Namespace;
  #value: number;
  #durable: number;

  private constructor(namespace: Namespace, value: number) {
    this.#namespace = namespace;
    this.#value = value;
    this.#durable = value;
  }

  /** Reads the bound that is kept in the namespace; 0 where there is none. @throws EvidenceError EPOCH_ENCODING. */
  static async open(store: Store, namespace: string): Promise<PrunedBound> {
    const records = await store.namespace(namespace);
    const bytes = await records.get(RECORD);
    if (bytes === undefined) return new PrunedBound(records, 0);
    const reader = new RecordReader(bytes, RECORD);
    const value = reader.u64();
    reader.end();
    return new PrunedBound(records, value);
  }

  get value(): number {
    return this.#value;
  }

  /** @throws RefusalError EPOCH_PRUNED below the bound; RangeError for a number that is no epoch. */
  refuse(epoch: number): void {
    epochText(epoch);
    if (epoch >= this.#value) return;
    throw new RefusalError('EPOCH_PRUNED', `epoch ${epoch} was pruned; the oldest is ${this.#value}`, {
      field: 'epoch',
      expected: `${this.#value} or later`,
      observed: `${epoch}`,
    });
  }

  /** Raises the bound, durably. From the call on no epoch below it is accepted. A lower bound changes nothing. */
  async raise(min: number): Promise<void> {
    epochText(min);
    this.#value = Math.max(min, this.#value);
    // #durable and not #value: after a failed write the bound has risen, but its record must still be written.
    if (min <= this.#durable) return;
    await this.#namespace.put(RECORD, u64BigEndian(min));
    this.#durable = min;
  }
}
