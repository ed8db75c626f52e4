import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createIdentity, readIdentity } from '../src/boot/node/identity.ts';
import { runKeyRound } from '../src/boot/obtain/key-round.ts';
import { recoverStoreKey } from '../src/boot/obtain/recovery.ts';
import { ServerVetter } from '../src/boot/obtain/vet-server.ts';
import { PeerClient } from '../src/boot/peer/peer-client.ts';
import { fetchTransport } from '../src/boot/peer/peer-transport.ts';
import { equalBytes } from '../src/bytes/concat.ts';
import { AccountId, BlockHash, Nonce, SlotId, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { tryFromHex } from '../src/bytes/hex.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../src/chain/chain-view.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { buildGeneration, type EnrolledServer, firstFile } from '../src/keyslots/generations.ts';
import type { KeyslotFile } from '../src/keyslots/keyslot-file.ts';
import { Lineage } from '../src/lineage/lineage.ts';
import { silentLog } from '../src/observe/log.ts';
import type { QuoteSource } from '../src/quote-source/quote-source.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { type Clock, systemClock } from '../src/time/clock.ts';
import { registrationReportData } from '../src/trust/registration.ts';
import { aLineageSecret, firstIncarnation } from '../test/support/lineages.ts';
import type { BootServersReady } from './boot-servers.ts';
import { type Bench, type Measured, percentile, type Report, summarize } from './harness.ts';
import { benchMetrics } from './release-app.ts';
import { benchPki, benchQuote, NOW_MS, releaseWorld } from './release-world.ts';

const QUORUM = { t: 3, n: 5 };
const BOOTS = 25;
const RECORDS = 100;
const DISTURBED_BAR = 1;

/** From start to open store with five servers, without the time that quotes take. */
export const bench: Bench = {
  name: 'boot',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
    const child = fork(fileURLToPath(new URL('./boot-servers.ts', import.meta.url)));
    const hanging = await listenSilently();
    try {
      const node = await enrolledNode(await readyOf(child), join(folder, 'store'), portOf(hanging));
      await measureBoots(report, node);
    } finally {
      hanging.close();
      const exited = once(child, 'exit');
      if (child.connected) child.send('stop');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function measureBoots(report: Report, node: BenchNode): Promise<void> {
  const roundTrips = await node.roundTrips();
  report.result('the two round trips alone: 5 parallel POSTs of both sizes', roundTrips);
  const undisturbed = await node.boots([]);
  report.result('boot, all 5 servers answer', undisturbed);
  report.target('boot / its round trips (medians)', undisturbed.p50Ms / roundTrips.p50Ms, { atMost: 10 });
  for (const [name, faults] of [
    ['1 of 5 dead', ['dead']],
    ['2 of 5 dead', ['dead', 'dead']],
    ['2 of 5 hanging', ['hanging', 'hanging']],
  ] as const) {
    const measured = await node.boots(faults);
    report.result(`boot, ${name}`, measured);
    report.target(
      `boot, ${name}: median / (1.5 × undisturbed + 150 ms)`,
      measured.p50Ms / (1.5 * undisturbed.p50Ms + 150),
      {
        atMost: DISTURBED_BAR,
      },
    );
  }
}

type Fault = 'dead' | 'hanging';

interface BenchNode {
  boots(faults: readonly Fault[]): Promise<Measured>;
  roundTrips(): Promise<Measured>;
}

/** A node that enrolled with all five servers and closed its store. */
async function enrolledNode(ready: BootServersReady, path: string, hangingPort: number): Promise<BenchNode> {
  const storeKey = new SecretBytes(systemRandom(32));
  const store = await SealedStore.create({ path, storeKey });
  const { account } = await createIdentity(store, systemRandom, firstIncarnation);
  const namespace = await store.namespace('bench');
  for (let index = 0; index < RECORDS; index++) await namespace.put(`record ${index}`, systemRandom(100));
  const records = ready.servers.map((server, index) => recordOf(server, index));
  const quotes = new TimedQuotes();
  // The servers of this bench live at one moment.
  const clock: Clock = { nowMs: () => NOW_MS, sleep: systemClock.sleep.bind(systemClock) };
  const client = new PeerClient({ transport: fetchTransport(), clock, random: systemRandom });
  const tools = { client, quotes, clock: systemClock, log: silentLog };
  const enrolled: EnrolledServer[] = [];
  await runKeyRound(tools, {
    account,
    intent: 'create',
    targets: records.map((peer) => ({ peer, slotId: SlotId.of(systemRandom(16)) })),
    quorum: QUORUM.n,
    signal: new AbortController().signal,
    onResult: ({ peer, slotId }, result) => {
      if (!result.ok || result.answer.grant.recoveryToken === undefined) throw new Error('enrolment failed');
      const { grant, instanceId } = result.answer;
      const recoveryToken = result.answer.grant.recoveryToken;
      enrolled.push({
        server: peer.account,
        slotId,
        keyId: grant.keyId,
        key: grant.key,
        recoveryToken,
        instanceId,
      });
    },
  });
  // A server gives no key of a slot that is not linked.
  const lineage = new Lineage(aLineageSecret());
  const head = { sequence: 0, digest: new Uint8Array(32) };
  const status = { confirm: true, incarnation: firstIncarnation, head, report: undefined };
  for (const { server, slotId, key } of enrolled) {
    const record = records.find((one) => equalBytes(one.account, server));
    if (record === undefined) throw new Error('an unknown server gave a key');
    const held = { account, slotId, key, observer: { observe: () => undefined } };
    await client.keyStatus(record, held, status, lineage.keyOf(server));
  }
  const identity = { account, storeId: store.storeId };
  const generation = await buildGeneration(
    { ...identity, storeKey, lineageSecret: aLineageSecret(), generation: 1, quorum: QUORUM, enrolled },
    systemRandom,
  );
  await store.close();
  const file = firstFile(identity, generation);
  return {
    boots: (faults) => times(() => bootOnce(tools, file, withFaults(records, faults, hangingPort), path)),
    roundTrips: () => times(() => bareRoundTrips(ready.constantPort)),
  };
}

async function bootOnce(
  tools: Omit<Parameters<typeof recoverStoreKey>[0], 'vetter'> & { readonly quotes: TimedQuotes },
  file: KeyslotFile,
  servers: readonly ServerRecord[],
  path: string,
): Promise<number> {
  const stop = new AbortController();
  const block = { number: 1, hash: BlockHash.of(new Uint8Array(32)), timestampMs: undefined };
  const snapshot: ChainSnapshot = {
    genesisHash: block.hash,
    block,
    servers,
    undecodableRecords: 0,
    acceptedMeasurements: [],
  };
  const { quotes } = tools;
  const vetter = freshVetter(tools.client);
  quotes.spentMs = 0;
  const start = performance.now();
  const outcome = await recoverStoreKey(
    { ...tools, vetter },
    {
      file,
      snapshot,
      minimumThreshold: 2,
      clockToleranceMs: 60_000,
      maxTimeJumpMs: 86_400_000,
      signal: stop.signal,
    },
  );
  if (!outcome.ok) throw new Error(`the boot got ${outcome.have} of ${outcome.need} slots`);
  const store = await SealedStore.open({ path, storeKey: outcome.recovered.storeKey });
  await readIdentity(store);
  const took = performance.now() - start - quotes.spentMs;
  await store.close();
  stop.abort();
  return took;
}

async function bareRoundTrips(port: number): Promise<number> {
  const start = performance.now();
  for (const size of [150, 8_500]) {
    const body = 'x'.repeat(size);
    const post = async () => (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).text();
    await Promise.all([post(), post(), post(), post(), post()]);
  }
  return performance.now() - start;
}

async function times(run: () => Promise<number>): Promise<Measured> {
  await run();
  const durations: number[] = [];
  for (let turn = 0; turn < BOOTS; turn++) durations.push(await run());
  const total = durations.reduce((sum, duration) => sum + duration, 0);
  return { ...summarize(durations, total), p50Ms: percentile(durations, 0.5) };
}

function withFaults(records: readonly ServerRecord[], faults: readonly Fault[], hangingPort: number) {
  return records.map((record, index) => {
    const fault = faults[index];
    // Port 1 of the loopback address refuses connections.
    if (fault === 'dead') return { ...record, endpoint: '127.0.0.1:1' };
    return fault === 'hanging' ? { ...record, endpoint: `127.0.0.1:${hangingPort}` } : record;
  });
}

/** A vetter that has seen no server yet, as a node has after its start. */
function freshVetter(client: PeerClient): ServerVetter {
  const { verifier, evidenceVerifier, judge } = releaseWorld(silentLog, benchMetrics);
  const clock = { ...systemClock, nowMs: () => NOW_MS };
  const bounds = { maxAgeMs: 900_000, blockTimeMs: 6_000 };
  return new ServerVetter({ verifier, evidenceVerifier, judge, client, clock, bounds });
}

function recordOf(
  { account: accountHex, x25519, port }: BootServersReady['servers'][number],
  platform: number,
): ServerRecord {
  const bytes = (hex: string): Uint8Array => tryFromHex(hex) ?? new Uint8Array(0);
  const account = AccountId.of(bytes(accountHex));
  const x25519PublicKey = X25519PublicKey.of(bytes(x25519));
  const nonce = Nonce.of(systemRandom(32));
  const reportData = registrationReportData(account, x25519PublicKey, 0, nonce);
  return {
    stash: account,
    account,
    x25519PublicKey,
    endpoint: `127.0.0.1:${port}`,
    quote: benchQuote(benchPki(), reportData, platform),
    active: true,
    signer: false,
  };
}

/** Real quotes of the development PKI, and how long they took. */
class TimedQuotes implements QuoteSource {
  readonly #pki = benchPki();
  spentMs = 0;

  async quote(reportData: Uint8Array): Promise<Uint8Array> {
    const start = performance.now();
    const quote = benchQuote(this.#pki, reportData, 0);
    this.spentMs += performance.now() - start;
    return quote;
  }
}

/** Accepts connections and never says a word. */
async function listenSilently(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.unref();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.unref();
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

async function readyOf(child: ChildProcess): Promise<BootServersReady> {
  const [ready] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => {
      throw new Error('the servers of the bench ended before they were ready');
    }),
  ]);
  // The child sends exactly one message, of this type.
  return ready as BootServersReady;
}
