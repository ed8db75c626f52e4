import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import type { Namespace, Store } from '../../src/store/api/store-api.ts';
import { openStore } from '../support/disk-store.ts';
import {
  batchNames,
  type CrashOrder,
  counterName,
  expectedValue,
  ROUND_RECORDS,
  singleName,
  WRITERS,
} from './crash-records.ts';

let acknowledgements = -1;
let acknowledged = 0;

/** Writes the acknowledgement past all buffers of the process: a kill does not take back what the kernel has. */
function acknowledge(text: string): void {
  writeSync(acknowledgements, `${text}\n`);
  acknowledged++;
  if (acknowledged === 1) process.stdout.write('first\n');
  if (acknowledged === ROUND_RECORDS) process.stdout.write('thousandth\n');
}

async function write(store: Store, records: Namespace, run: number, writer: number): Promise<never> {
  const counter = Buffer.alloc(4);
  for (let round = 0; ; round++) {
    const puts = Array.from({ length: ROUND_RECORDS / WRITERS }, async (_, index) => {
      const name = singleName(run, round, writer, index);
      await records.put(name, expectedValue(name));
      acknowledge(`record ${name}`);
    });
    const names = batchNames(run, round, writer);
    const operations = names.map(
      (name) => ({ kind: 'put', namespace: records.name, name, value: expectedValue(name) }) as const,
    );
    puts.push(store.batch(operations).then(() => acknowledge(`batch ${round} ${writer}`)));
    counter.writeUInt32BE(round + 1);
    puts.push(
      records
        .put(counterName(run, writer), counter.slice())
        .then(() => acknowledge(`counter ${writer} ${round + 1}`)),
    );
    await Promise.all(puts);
  }
}

createInterface({ input: process.stdin }).once('line', async (line) => {
  // The parent of this test wrote the line.
  const order = JSON.parse(line) as CrashOrder;
  const store = await openStore(nodeFileSystem, order.path, new SecretBytes(Buffer.from(order.key, 'hex')), {
    segmentBytes: 256 * 1024,
  });
  const records = await store.namespace('records');
  acknowledgements = openSync(order.acknowledgements, 'a');
  process.stdout.write('open\n');
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(store, records, order.run, writer)));
});
