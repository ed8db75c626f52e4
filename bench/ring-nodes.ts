import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startUpstream, tlsIdentity } from '../devnet/tls-upstream.ts';
import { utf8 } from '../src/bytes/concat.ts';
import { X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toHex } from '../src/bytes/hex.ts';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { NodeExchange, NodeRefusal, type SecretNode } from '../src/secrets/client/node-exchange.ts';
import { signRecord } from '../src/secrets/record.ts';
import { PLACEHOLDER } from '../src/secrets/relay/outgoing-request.ts';
import { parseScope } from '../src/secrets/scope.ts';
import { secretFormat } from '../src/secrets/secret-format.ts';
import { encodeUse } from '../src/secrets/use-request.ts';
import { encodeEntry, hashValue, saltValue, secretEntry } from '../src/secrets/value.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { type RingNetwork, ringNetwork } from '../test/support/ring-network.ts';
import { ALICE, aclOf, secretContent, seedOf } from '../test/support/secret-records.ts';
import { type Measured, type Report, summarize } from './harness.ts';

const DEPLOYS = Number(process.env['RING_DEPLOYS'] ?? 400);
const REQUESTS = Number(process.env['RING_REQUESTS'] ?? 400);
const REPLICAS = 4;
const CALLERS = 16;
const NAME = 'api.test';
const notReady: ReadonlySet<string> = new Set(['RING_NOT_READY', 'RING_QUORUM_MISSING']);
const unlimited = { burst: 1_000_000, perSecond: 1_000_000 };

/** Deploys and the relay on four real nodes of one process, with stores on the disk and messages over loopback. */
export async function benchNodes(report: Report): Promise<void> {
  const identity = tlsIdentity([NAME]);
  await using upstream = await startUpstream((_request, response) => response.end('welcome'), identity);
  await using net = await ringNetwork(REPLICAS, REPLICAS, {
    // Blocks and rounds as often as in a real network: four nodes, the chain and the users share one processor here.
    blockTimeMs: 2_000,
    isPlain: true,
    trust: { relay: { authorities: [identity.cert] } },
    config: {
      healing: { intervalMs: 10_000, formerClientsDeadlineMs: 0 },
      ring: { timeoutMs: 60_000, keepFreeBytes: 0 },
      limits: {
        perAddress: unlimited,
        perPlatform: unlimited,
        shutdownDeadlineMs: 100,
        requestDeadlineMs: 120_000,
      },
      secrets: {
        users: 'all',
        perUser: unlimited,
        maxRecordsPerUser: 1_000_000,
        maxBytesPerUser: 1024 ** 3,
        relay: { allowAddresses: ['127.0.0.1'] },
      },
    },
    resolve: async () => ['127.0.0.1'],
  });
  const url = `https://${NAME}:${upstream.port}/v1`;
  const users = new Users(net);
  await deploys(report, users, url);
  await relayed(report, users, { url, port: upstream.port, cert: identity.cert });
}

/** Requests of Alice, each to the nearest node of its secret. */
class Users {
  readonly #net: RingNetwork;
  readonly #exchange = new NodeExchange({
    owner: { account: ALICE, seed: seedOf(1) },
    fetch: (url, init) => fetch(url, init),
    random: systemRandom,
    now: () => Date.now(),
    timeoutMs: 120_000,
  });

  constructor(net: RingNetwork) {
    this.#net = net;
  }

  /** A node that a busy machine keeps from the others for a while is not ready; then the request is made again. */
  async ask(route: 'deploy' | 'request', id: Uint8Array, body: Uint8Array): Promise<unknown> {
    for (;;)
      try {
        return await this.#exchange.ask(this.#nearest(id), route, body);
      } catch (error) {
        if (!(error instanceof NodeRefusal) || !notReady.has(error.error.code)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
  }

  #nearest(id: Uint8Array): SecretNode {
    const { places } = this.#net;
    const [nearest] = places[0]?.ring.view.placement.replicasOf(id) ?? [];
    for (const { node, port } of places) {
      const { account, x25519 } = node.open?.identity ?? fail('a node is not open');
      if (nearest === undefined || toHex(account) !== toHex(nearest.account)) continue;
      const x25519PublicKey = X25519PublicKey.of(x25519.publicKey);
      return { account, x25519PublicKey, endpoint: `127.0.0.1:${port}` };
    }
    return fail('no node is the nearest one');
  }
}

function fail(message: string): never {
  throw new Error(message);
}

/** A signed secret of Alice with a short value. */
function newSecret(url: string, pathPrefix: string) {
  const { origin } = parseScope(url);
  const salted = saltValue(utf8('sk-0123456789abcdef0123456789abcdef'), systemRandom);
  const expiresAtMs = Date.now() + 365 * 86_400_000;
  const content = secretContent({
    origin,
    pathPrefix,
    valueHash: hashValue(salted),
    expiresAtMs,
    acl: aclOf(),
  });
  const record = signRecord(seedOf(1), content);
  return { id: record.id, bytes: encodeEntry(secretEntry(record, salted)) };
}

/** Runs tasks, so many at once; each begins when one before it has ended. */
async function inParallel(
  count: number,
  atOnce: number,
  task: (at: number) => Promise<unknown>,
): Promise<Measured> {
  const durations: number[] = [];
  const start = performance.now();
  let next = 0;
  const run = async (): Promise<void> => {
    for (let at = next++; at < count; at = next++) {
      const before = performance.now();
      await task(at);
      durations.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  return summarize(durations, performance.now() - start);
}

/** Operations in a second of processor time. @param before usage when they began. */
function byProcessor(before: NodeJS.CpuUsage, count: number): Measured {
  const { user, system } = process.cpuUsage(before);
  const each = (user + system) / 1000 / count;
  return { opsPerSecond: 1000 / each, p50Ms: each, p99Ms: each };
}

/** Acknowledged deploys, durable at three of four, against as many bare puts into one store. */
async function deploys(report: Report, users: Users, url: string): Promise<void> {
  const secrets = Array.from({ length: DEPLOYS }, (_, at) => newSecret(url, `/v1/${at}`));
  const warm = Array.from({ length: 4 * CALLERS }, (_, at) => newSecret(url, `/warm/${at}`));
  await inParallel(warm.length, CALLERS, (at) => deploy(warm, at));
  const before = process.cpuUsage();
  const deployed = await inParallel(DEPLOYS, CALLERS, (at) => deploy(secrets, at));
  report.result(`deploys, ${CALLERS} callers, k = ${REPLICAS}`, deployed);
  report.result(
    '… by processor time of all four nodes, the users and the chain',
    byProcessor(before, DEPLOYS),
  );

  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-ring-'));
  const stores = await Promise.all(
    Array.from({ length: REPLICAS }, (_, at) =>
      SealedStore.create({ path: join(folder, `${at}`), storeKey: new SecretBytes(systemRandom(32)) }),
    ),
  );
  const records = await Promise.all(stores.map((store) => store.namespace('records')));
  const put = (into: typeof records, at: number): Promise<unknown> => {
    const { id, bytes } = secrets[at] ?? fail('no such secret');
    return Promise.all(into.map((namespace) => namespace.put(toHex(id), bytes)));
  };
  const bare = await inParallel(DEPLOYS, CALLERS, (at) => put(records.slice(0, 1), at));
  report.result(`floor: as many bare puts into one store, ${CALLERS} callers`, bare);
  // What no ring can do without: each holder verifies the record, the nearest one the request too; each stores it.
  const needed = await inParallel(DEPLOYS, CALLERS, async (at) => {
    for (let check = 0; check < REPLICAS + 1; check++)
      secretFormat.read(secrets[at]?.bytes ?? fail('no such secret'));
    await put(records, at);
  });
  report.result(`floor: ${REPLICAS + 1} verifications, and a put into each of ${REPLICAS} stores`, needed);
  await Promise.all(stores.map((store) => store.close()));
  rmSync(folder, { recursive: true, force: true });
  report.ratio('deploys to bare puts', deployed.opsPerSecond / bare.opsPerSecond);
  report.ratio('deploys to verifications and puts', deployed.opsPerSecond / needed.opsPerSecond);

  function deploy(of: typeof secrets, at: number): Promise<unknown> {
    const { id, bytes } = of[at] ?? fail('no such secret');
    return users.ask('deploy', id, bytes);
  }
}

/** One request after the other through the relay, and straight to the upstream, in turns. */
async function relayed(
  report: Report,
  users: Users,
  { url, port, cert }: { readonly url: string; readonly port: number; readonly cert: string },
): Promise<void> {
  const { id, bytes } = newSecret(url, '/v1');
  await users.ask('deploy', id, bytes);
  const timed = { relayed: [] as number[], direct: [] as number[] };
  const note = async (into: number[] | undefined, work: () => Promise<unknown>): Promise<void> => {
    const before = performance.now();
    await work();
    into?.push(performance.now() - before);
  };
  for (let turn = -10; turn < REQUESTS; turn++) {
    const wanted = encodeUse({
      id,
      idempotencyKey: systemRandom(16),
      verb: 'GET',
      url: `${url}/models`,
      headers: [['authorization', `Bearer ${PLACEHOLDER}`]],
      body: new Uint8Array(0),
    });
    await note(turn < 0 ? undefined : timed.relayed, () => users.ask('request', id, wanted));
    await note(turn < 0 ? undefined : timed.direct, () => fetchDirectly(port, cert));
  }
  const total = (durations: readonly number[]) => durations.reduce((sum, each) => sum + each, 0);
  const [through, direct] = [timed.relayed, timed.direct].map((each) => summarize(each, total(each)));
  if (through === undefined || direct === undefined) return;
  report.result('request through the relay, k = 4', through);
  report.result('floor: the same request, straight to the upstream', direct);
  report.ratio('relayed to direct, median', through.p50Ms / direct.p50Ms);
  report.ratio('relayed to direct, 99th percentile', through.p99Ms / direct.p99Ms);
}

/** With a connection of its own, as the relay does it. */
const fetchDirectly = (port: number, ca: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/v1/models', servername: NAME, ca, agent: false };
    const request = httpsRequest(options, (response) => {
      response.resume();
      response.once('end', resolve);
    });
    request.once('error', reject);
    request.end();
  });
