import { tryFromBase64 } from '../../bytes/base64.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { decodeStored, type StoredDecryption } from '../decryption.ts';
import type { EtcdKeyValue } from './etcd-answers.ts';
import { type EtcdJson, etcdRangeEnd, etcdText } from './etcd-client.ts';

/** Names of the table's records in etcd, below one prefix. */
export class EtcdKeys {
  /** `results/<key>`: the result. */
  readonly results: string;
  /** `times/<time>/<key>`: the index by time, for pruning. */
  readonly times: string;
  /** `signatures/<key>/<oracle>`. */
  readonly signatures: string;
  /** `order/<digest>`: newest time of signed writes. */
  readonly order: string;

  /** @param prefix ends with a slash. */
  constructor(prefix: string) {
    this.results = `${prefix}results/`;
    this.times = `${prefix}times/`;
    this.signatures = `${prefix}signatures/`;
    this.order = `${prefix}order/`;
  }

  result(key: string): string {
    return this.results + key;
  }

  signaturesOf(key: string): string {
    return `${this.signatures}${key}/`;
  }
}

/** Key and end of all keys below a prefix that ends with a slash. */
export const below = (prefix: string): EtcdJson => ({
  key: etcdText(prefix),
  range_end: etcdRangeEnd(prefix),
});

/** Reads the value of a record. @throws ProblemError DECRYPTION_RECORD_DAMAGED. */
export function storedOf({ value }: EtcdKeyValue): StoredDecryption {
  const bytes = tryFromBase64(value);
  if (bytes === undefined) throw new ProblemError('DECRYPTION_RECORD_DAMAGED', 'the value is not base64');
  return decodeStored(bytes);
}
