// Kills processes of a ring while users work (docs/ring.md, Invariants on real processes). Usage, after npm run build:
//   npx tsx scripts/ring-kills.ts [--kills N] [--minutes M] [--seed S] [--users U]
// Ends after N kills, or after M minutes. Exit 1 when an invariant is broken, or a control is not noticed.
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type DevelopmentNode, isFullyBacked } from '../devnet/development-node.ts';
import { type DevelopmentNetwork, startNetwork } from '../devnet/network.ts';
import { measureSlowness } from '../devnet/slowness.ts';
import { developmentMeasurements } from '../mock-tdx/measurements.ts';
import { loadConfig } from '../src/config/load-config.ts';
import { buildParts } from '../src/node/parts.ts';
import { openUserDirectory } from '../src/node/user-directory.ts';
import { silentLog } from '../src/observe/log.ts';
import type { NodeDirectory } from '../src/secrets/client/secret-client.ts';
import { insecureTrustRoot } from '../src/tdx/verify-quote.ts';
import { measurementId } from '../src/trust/measurement.ts';
import { Dice } from '../test/support/dice.ts';
import {
  judgeFiles,
  judgeHolders,
  judgeOnce,
  judgeOutcome,
  KillsUser,
  startCountingUpstream,
} from '../test/support/ring-kills.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    minutes: { type: 'string', default: '240' },
    seed: { type: 'string', default: '1' },
    users: { type: 'string', default: '3' },
    nodes: { type: 'string', default: '6' },
  },
});
const seed = Number(values.seed);
const dice = new Dice(seed);
const endMs = Date.now() + Number(values.minutes) * 60_000;
const violations: string[] = [];
let kills = 0;
let checks = 0;
/** Users wait while this is set. */
let paused = false;

async function live(net: DevelopmentNetwork): Promise<void> {
  await healed(net);
  const users: KillsUser[] = [];
  let directory = await directoryOf(net);
  for (let number = 0; number < Number(values.users); number++)
    users.push(new KillsUser(number, upstream.origin, new Dice(seed * 1000 + number), directory));
  const stop = new AbortController();
  const working = users.map(async (user) => {
    while (!stop.signal.aborted) {
      if (!paused) await user.step();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  for (let round = 1; kills < Number(values.kills) && Date.now() < endMs; round++) {
    await killSome(net);
    await healed(net);
    directory = await renewed(net, users, directory);
    if (round % 5 === 0) await checkAll(net, users);
  }
  // I8: all of them, one after the other.
  for (const node of net.nodes) {
    await kill(node);
    node.start();
    await healed(net);
  }
  stop.abort();
  await Promise.all(working);
  directory = await renewed(net, users, directory);
  await checkAll(net, users);
  await checkControls(net, users);
  directory.close();
  const sum = (what: keyof KillsUser['counts']) =>
    users.reduce((total, { counts }) => total + counts[what], 0);
  const [written, used, refused, failed] = [sum('written'), sum('used'), sum('refused'), sum('failed')];
  console.log({ seed, kills, checks, written, used, refused, failed, violations: violations.length });
  if (written === 0 || used === 0) violations.push('nothing was written, or nothing was used');
}

/** One node or two, each perhaps once more while it starts. */
async function killSome({ nodes }: DevelopmentNetwork): Promise<void> {
  const victims = dice.shuffled([...nodes]).slice(0, 1 + dice.below(2));
  await Promise.all(
    victims.map(async (node) => {
      await pause(dice.below(2000));
      await kill(node);
      await pause(dice.below(3000));
      node.start();
      if (!dice.oneIn(2)) return;
      await pause(dice.below(5000));
      await kill(node);
      node.start();
    }),
  );
}

async function kill(node: DevelopmentNode): Promise<void> {
  kills += 1;
  await node.end('SIGKILL');
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A key server that was killed has lost its memory, so the next kill waits until all stores are backed again. */
async function healed({ nodes }: DevelopmentNetwork): Promise<void> {
  await Promise.all(
    nodes.map((node) =>
      node.until('backed, and serving', (status) => {
        const { ring } = status;
        return isFullyBacked(status) && ring?.standing === 'serving' && ring.members === nodes.length;
      }),
    ),
  );
}

async function directoryOf(net: DevelopmentNetwork): Promise<NodeDirectory & { close(): void }> {
  const config = loadConfig(readFileSync(net.spareConfigFile, 'utf8'), {});
  const trustRoot = insecureTrustRoot(readFileSync(net.rootFile, 'utf8'));
  const parts = buildParts(config, { log: silentLog, trustRoot });
  const image = measurementId(developmentMeasurements);
  const directory = await openUserDirectory(config, parts, image, new AbortController().signal);
  return {
    nodes: () => directory.nodes(),
    attest: (node) => directory.attest(node),
    close() {
      directory.close();
      void parts.chain[Symbol.asyncDispose]();
      void parts.collateral.close();
      void parts.earlyCollateral?.close();
    },
  };
}

/** What a directory has read of the chain grows old. */
async function renewed(net: DevelopmentNetwork, users: readonly KillsUser[], old: { close(): void }) {
  const directory = await directoryOf(net);
  for (const user of users) user.renew(directory);
  old.close();
  return directory;
}

/** All invariants in a healed network, while no user works. */
async function checkAll(net: DevelopmentNetwork, users: readonly KillsUser[]): Promise<void> {
  paused = true;
  // Operations that are under way, and a round of repair after them.
  await pause(3_000);
  checks += 1;
  for (const user of users) {
    // I2, I3, I9.
    await user.settle();
    violations.push(...user.violations.splice(0));
    const wrong = judgeHolders(user.history.name, await shownByAll(net, user));
    if (wrong !== undefined) violations.push(wrong);
    await sendAgain(user);
  }
  violations.push(...judgeOnce(upstream.seen), ...filesInClear(net));
  const minutes = Math.round((endMs - Date.now()) / 60_000);
  console.log(`${kills} kills, ${violations.length} violations, ${minutes} minutes left`);
  paused = false;
}

/** I1, I4: what each holder shows; a node that holds none shows nothing. */
async function shownByAll({ nodes }: DevelopmentNetwork, user: KillsUser): Promise<readonly string[]> {
  const shown = await Promise.all(nodes.map((node) => user.shownBy(node)));
  const held = shown.filter((each) => each !== undefined);
  if (user.history.acknowledged > 0 && held.length < 4)
    violations.push(`I1: ${held.length} nodes hold ${user.history.name} instead of 4`);
  return held.length === 0 ? ['nothing'] : held;
}

/** I6: a request that was taken before, also before a restart of its node. */
async function sendAgain({ lastSent }: KillsUser): Promise<void> {
  if (lastSent === undefined) return;
  const headers = { 'content-type': 'application/json' };
  await fetch(lastSent.url, { ...lastSent.init, headers, signal: AbortSignal.timeout(30_000) }).catch(
    () => undefined,
  );
}

const filesInClear = ({ nodes }: DevelopmentNetwork): readonly string[] =>
  nodes.flatMap(({ home }) => judgeFiles(home));

/** Faults that are put in have to be noticed by the checks, on the network that was just found to be right. */
async function checkControls(net: DevelopmentNetwork, users: readonly KillsUser[]): Promise<void> {
  const [user] = users;
  const [node] = net.nodes;
  if (user === undefined || node === undefined) return;
  const { history } = user;
  const later = { ...history, tried: [...history.tried, 'value' as const, 'value' as const] };
  const outcome = await user.use();
  // A write that was never made is said to be acknowledged: what is used now is older.
  const newest = later.tried.length;
  const old = typeof outcome === 'number' ? outcome : newest - 2;
  const deleted = { ...later, tried: [...history.tried, 'value' as const, 'tombstone' as const] };
  const file = join(node.home, 'planted');
  appendFileSync(file, 'sk-of-ring-kills-0');
  const controls: readonly (readonly [string, boolean])[] = [
    ['I9', judgeOutcome(later, newest, old)?.startsWith('I9') === true],
    ['I3', judgeOutcome(deleted, newest, old)?.startsWith('I3') === true],
    ['I2', judgeOutcome(later, newest, 'SECRET_NOT_FOUND')?.startsWith('I2') === true],
    ['I4', judgeHolders('x', [...(await shownByAll(net, user)), '0 secret']) !== undefined],
    ['I6', judgeOnce(new Map([...upstream.seen].map(([nonce, times]) => [nonce, times + 1]))).length > 0],
    ['I7', filesInClear(net).length === 1],
  ];
  rmSync(file);
  for (const [invariant, isNoticed] of controls)
    if (!isNoticed) violations.push(`control: a fault against ${invariant} was not noticed`);
  console.log(
    `${controls.filter(([, isNoticed]) => isNoticed).length} of ${controls.length} controls noticed`,
  );
}

const folder = mkdtempSync(join(tmpdir(), 'latchkey-ring-kills-'));
const upstream = await startCountingUpstream();
let network: DevelopmentNetwork | undefined;
// No node outlives this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    for (const node of network?.nodes ?? []) node.signal('SIGKILL');
    process.exit(1);
  });
try {
  network = await startNetwork(folder, {
    nodes: Number(values.nodes),
    blockTimeMs: 500,
    slowness: await measureSlowness(),
    relayAuthority: upstream.cert,
  });
  await live(network);
} finally {
  await network?.close();
  await upstream[Symbol.asyncDispose]();
}
for (const violation of violations) console.log(violation);
if (violations.length === 0) rmSync(folder, { recursive: true, force: true });
else console.log(`configurations, stores and logs stay in ${folder}`);
process.exit(violations.length === 0 ? 0 : 1);
