import type { RecordFormat } from '../ring/replication/entry.ts';
import { decodeEntry } from './value.ts';

/** Secrets as records of the ring: each node checks the signature of the user and the hash of the value itself. */
export const secretFormat: RecordFormat = {
  read(bytes) {
    const { record, salted } = decodeEntry(bytes);
    salted.wipe();
    const { id, order, content } = record;
    return { id, order, expiresAtMs: content.expiresAtMs, bytes };
  },
};
