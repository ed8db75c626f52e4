// Many rituals on the sealed store: what storing, opening and looking up cost as they grow.
//   npx tsx scripts/soak-rituals.ts [--count 100000] [--fragment-bytes 200] [--at-once 64]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { Datastore } from '../src/rituals/datastore.ts';
import { SealedStore } from '../src/store/sealed-store.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '100000' },
    'fragment-bytes': { type: 'string', default: '200' },
    'at-once': { type: 'string', default: '64' },
  },
});
const count = Number(values.count);
const atOnce = Number(values['at-once']);
const fragment = systemRandom(Number(values['fragment-bytes']));
const SMALL = Math.min(1000, count);
const LOOKUPS = 5000;
const timeOf = (id: number): number => 1_700_000_000 + ((id * 7919) % count);

const say = (what: string, value: string): void => console.log(`${what.padEnd(44)} ${value}`);
const ms = (value: number): string => `${value.toFixed(value < 10 ? 3 : 0)} ms`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function lookUp(datastore: Datastore, among: number): Promise<string> {
  const times: number[] = [];
  for (let look = 0; look < 2 * LOOKUPS; look += 1) {
    const id = (look * 7919) % among;
    const took = await timed(() => datastore.retrieveFragment(id));
    // The first half warms up.
    if (look >= LOOKUPS) times.push(took);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => ms(times[Math.floor(times.length * share)] ?? 0);
  return `p50 ${at(0.5)}, p99 ${at(0.99)}`;
}

async function storeAll(datastore: Datastore, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += atOnce) {
    const ids = Array.from({ length: Math.min(atOnce, to - first) }, (_, index) => first + index);
    await Promise.all(ids.map((id) => datastore.storeFragment(id, timeOf(id), fragment)));
  }
}

async function grow(path: string, storeKey: SecretBytes): Promise<void> {
  await using store = await SealedStore.create({ path, storeKey });
  const datastore = await Datastore.initialize(store);
  await storeAll(datastore, 0, SMALL);
  say(`look one of ${SMALL} up`, await lookUp(datastore, SMALL));
  const took = await timed(() => storeAll(datastore, SMALL, count));
  say(`store ${count - SMALL}, ${atOnce} at once`, `${ms(took)}, ${ms(took / (count - SMALL))} each`);
  say(`look one of ${count} up`, await lookUp(datastore, count));
}

async function reopen(path: string, storeKey: SecretBytes): Promise<void> {
  globalThis.gc?.();
  const before = process.memoryUsage();
  const start = performance.now();
  await using store = await SealedStore.open({ path, storeKey });
  const opened = performance.now();
  const datastore = await Datastore.initialize(store);
  say('open the store', ms(opened - start));
  say('open the rituals on it', ms(performance.now() - opened));
  globalThis.gc?.();
  const after = process.memoryUsage();
  const grown = (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / 1e6;
  say('memory', `${grown.toFixed(0)} MB${globalThis.gc === undefined ? ' (not collected)' : ''}`);
  if (datastore.count !== count) throw new Error(`${datastore.count} of ${count} are there`);
  say(`look one of ${count} up`, await lookUp(datastore, count));
  say('list ten by time', ms(await timed(() => datastore.list({ from: timeOf(count >> 1), limit: 10 }))));
  const cutoff = 1_700_000_000 + (count >> 1);
  let expired = 0;
  const finding = await timed(async () => {
    expired = (await datastore.findExpired(cutoff)).length;
  });
  say(`find ${expired} expired`, ms(finding));
  const revoking = await timed(async () => {
    for (let id = 0; id < 100; id += 1) await datastore.deleteFragment((id * 7919) % count);
  });
  say('revoke one', ms(revoking / 100));
  const { namespaces, records, diskBytes } = store.stat();
  say('on the disk', `${(diskBytes / 1e6).toFixed(0)} MB, ${records} records in ${namespaces} namespaces`);
}

const folder = mkdtempSync(join(tmpdir(), 'latchkey-rituals-'));
try {
  const storeKey = new SecretBytes(systemRandom(32));
  await grow(join(folder, 'store'), storeKey);
  await reopen(join(folder, 'store'), storeKey);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
