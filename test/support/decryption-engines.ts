import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import {
  DecryptionService,
  type DecryptionServiceOptions,
} from '../../src/decryptions/decryption-service.ts';
import { EtcdTable } from '../../src/decryptions/etcd/etcd-table.ts';
import { type EtcdCluster, hasEtcd, startEtcd } from './etcd.ts';
import { MemoryStore } from './memory-store.ts';

/** Opens a service on an empty table; it is closed after the test. */
export type OpenService = (options?: DecryptionServiceOptions) => Promise<DecryptionService>;

let prefixes = 0;

/** A prefix that no other test uses. */
export const newPrefix = (): string => `test/${process.pid}/${prefixes++}/`;

/** Runs the same tests on each engine: the store, and a real etcd where that is installed. */
export function describeOnEngines(
  title: string,
  body: (open: OpenService, engine: 'store' | 'etcd') => void,
): void {
  describe(`${title} (store)`, () => {
    body((options) => DecryptionService.open(new MemoryStore(), options), 'store');
  });
  describe.skipIf(!hasEtcd)(`${title} (etcd)`, () => {
    let cluster: EtcdCluster;
    const opened: { readonly table: EtcdTable; readonly service: DecryptionService }[] = [];
    beforeAll(async () => {
      cluster = await startEtcd();
    });
    afterEach(() => {
      for (const { table, service } of opened.splice(0)) {
        service.close();
        table.close();
      }
    });
    afterAll(() => cluster?.[Symbol.asyncDispose]());
    body(async (options) => {
      const table = await EtcdTable.open({ endpoints: cluster.endpoints, prefix: newPrefix() });
      const service = DecryptionService.on(table, options);
      opened.push({ table, service });
      return service;
    }, 'etcd');
  });
}
