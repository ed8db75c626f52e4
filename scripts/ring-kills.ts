// Kills processes of a ring while users work (docs/ring.md, Invariants on real processes). Usage, after npm run build:
//   npx tsx scripts/ring-kills.ts [--kills N] [--minutes M] [--seed S] [--users U] [--broken I1|I5|I8]
// Ends after N kills, or after M minutes. Exit 1 when an invariant is broken, or a control is not noticed.
// With --broken, all nodes break one rule (broken-ring.mjs); exit 0 when the checks find it.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type DevelopmentNode, isFullyBacked } from '../devnet/development-node.ts';
import { type DevelopmentNetwork, startNetwork } from '../devnet/network.ts';
import { stashOf } from '../devnet/ring-secret.ts';
import { measureSlowness } from '../devnet/slowness.ts';
import { Dice } from '../test/support/dice.ts';
import { Deposits, judgeDeposits, type Shown } from '../test/support/ring-deposits.ts';
import { directoryOf } from '../test/support/ring-directory.ts';
import {
  judgeFiles,
  judgeHolders,
  judgeOnce,
  judgeOutcome,
  KillsUser,
  startCountingUpstream,
} from '../test/support/ring-kills.ts';
import { judgeStranger, knockAsStranger } from '../test/support/ring-stranger.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    minutes: { type: 'string', default: '240' },
    seed: { type: 'string', default: '1' },
    users: { type: 'string', default: '3' },
    nodes: { type: 'string', default: '6' },
    /** Secrets that do not change, by which it is checked who holds what. */
    deposits: { type: 'string', default: '24' },
    /** Rounds of kills between two changes of the members. */
    'change-every': { type: 'string', default: '4' },
    broken: { type: 'string' },
  },
});
const seed = Number(values.seed);
const dice = new Dice(seed);
const endMs = Date.now() + Number(values.minutes) * 60_000;
const violations: string[] = [];
/** The broken rule was found: nothing more is to be seen. */
const found = new AbortController();
let kills = 0;
let checks = 0;
let joins = 0;
let strangers = 0;
/** Nodes that are members or are to be; those that left are ended. */
let members: DevelopmentNode[] = [];
/** Users wait while this is set. */
let paused = false;

/** Says at once what is wrong. @throws Error when the broken rule was found, which ends the run. */
function note(...wrong: readonly string[]): void {
  for (const violation of wrong) console.log(violation);
  violations.push(...wrong);
  if (wrong.some((violation) => violation.startsWith(`${values.broken}:`))) found.abort();
  found.signal.throwIfAborted();
}

async function live(net: DevelopmentNetwork): Promise<void> {
  members = [...net.nodes];
  await healed();
  const users: KillsUser[] = [];
  let directory = await directoryOf(net);
  for (let number = 0; number < Number(values.users); number++)
    users.push(new KillsUser(number, upstream.origin, new Dice(seed * 1000 + number), directory));
  const deposits = new Deposits(Number(values.deposits), upstream.origin, directory);
  await deposits.deploy();
  const renew = async (): Promise<void> => {
    directory = await renewed(net, [...users, deposits], directory);
  };
  if (values.broken !== undefined) {
    // One change, or one restart of each node, is enough to show a broken rule.
    if (values.broken === 'I8') await restartAll(deposits, renew);
    else await changeMembers(net, deposits, renew);
    directory.close();
    return;
  }
  const stop = new AbortController();
  const working = users.map(async (user) => {
    while (!stop.signal.aborted) {
      if (!paused) await user.step();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  for (let round = 1; kills < Number(values.kills) && Date.now() < endMs; round++) {
    await killSome();
    await healed();
    await renew();
    if (round % Number(values['change-every']) === 0) await changeMembers(net, deposits, renew);
    if (round % 5 === 0) await checkAll(net, users);
  }
  await restartAll(deposits, renew);
  stop.abort();
  await Promise.all(working);
  await renew();
  await checkAll(net, users);
  await checkControls(net, users, deposits);
  directory.close();
  const sum = (what: keyof KillsUser['counts']) =>
    users.reduce((total, { counts }) => total + counts[what], 0);
  const [written, used, refused, failed] = [sum('written'), sum('used'), sum('refused'), sum('failed')];
  const done = { kills, checks, joins, strangers, written, used, refused, failed };
  console.log({ seed, ...done, violations: violations.length });
  if (written === 0 || used === 0) note('nothing was written, or nothing was used');
}

/** I8: all of them, one after the other; what is not written again has to be where it was. */
async function restartAll(deposits: Deposits, renew: () => Promise<void>): Promise<void> {
  for (const node of members) {
    await kill(node);
    node.start();
    await healed();
  }
  await renew();
  note(...judgeDeposits('I8', deposits.ids, await shownOf(deposits)));
}

/** I1, I5: a node joins, while another one is killed perhaps; then a member leaves for good. */
async function changeMembers(
  net: DevelopmentNetwork,
  deposits: Deposits,
  renew: () => Promise<void>,
): Promise<void> {
  const joiner = await net.add();
  joiner.start();
  // Registered, and no member before two boundaries have passed: the users can learn of it in the meantime.
  await joiner.until('registered', ({ ring }) => ring !== undefined && ring.standing !== 'behind');
  do await renew();
  while (!(await deposits.isKnown(joiner)));
  // A killed key server has lost its memory: only while all stores are backed.
  const isDisturbed = values.broken === undefined && dice.oneIn(2);
  const killing = isDisturbed ? killOne(dice.of(members)) : Promise.resolve();
  const early = await watchJoiner(joiner, deposits);
  await killing;
  members.push(joiner);
  joins += 1;
  await healed();
  await renew();
  let shown = await shownOf(deposits);
  // Until the change is over, the others serve by the view without it.
  const isHolder = () =>
    [...shown].some(
      ([account, { holders }]) =>
        account !== joiner.accountId &&
        Object.values(holders).some((each) => each.includes(joiner.accountId)),
    );
  for (; !isHolder(); shown = await shownOf(deposits)) await pause(500);
  // Its ranges are those of the view with it, which it may not have known when it said that it serves.
  const holders =
    [...shown.values()]
      .map((each) => each.holders)
      .find((each) => Object.values(each).some((of) => of.includes(joiner.accountId))) ?? {};
  const then = new Map([[joiner.accountId, { held: early.held, holders }]]);
  note(...judgeDeposits('I5', deposits.ids, then, joiner.accountId));
  note(...judgeDeposits('I1', deposits.ids, shown));
  // The dice do not choose the joiner, so that in the end none of the first members is left.
  const leaver = dice.of(members.slice(0, -1));
  await kill(leaver);
  net.chain.removeServer(stashOf(leaver));
  members = members.filter((node) => node !== leaver);
  await healed();
  await renew();
  note(...judgeDeposits('I1', deposits.ids, await shownOf(deposits)));
}

async function killOne(node: DevelopmentNode): Promise<void> {
  await pause(dice.below(3000));
  await kill(node);
  node.start();
}

/** I5: until it says that it serves a joiner carries no request out. @returns what it shows then. */
async function watchJoiner(joiner: DevelopmentNode, deposits: Deposits): Promise<Shown> {
  let isServing = false;
  const using = (async () => {
    while (!isServing) {
      const isUsed = await deposits.isUsedBy(joiner);
      if (isUsed && !isServing) note(`I5: ${joiner.name} carried a request out while it joined`);
      await pause(100);
    }
  })();
  using.catch(() => undefined);
  await joiner.until('serving', ({ ring }) => ring?.standing === 'serving');
  isServing = true;
  const shown = await deposits.at(joiner);
  await using;
  return shown;
}

/** What each member shows, by its account. */
async function shownOf(deposits: Deposits): Promise<ReadonlyMap<string, Shown>> {
  const shown = await Promise.all(
    members.map(async (node) => [node.accountId, await deposits.at(node)] as const),
  );
  return new Map(shown);
}

/** One node or two, each perhaps once more while it starts. */
async function killSome(): Promise<void> {
  const victims = dice.shuffled([...members]).slice(0, 1 + dice.below(2));
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
async function healed(): Promise<void> {
  await Promise.all(
    members.map((node) =>
      node.until('backed, and serving', (status) => {
        const { ring } = status;
        return isFullyBacked(status) && ring?.standing === 'serving' && ring.members === members.length;
      }),
    ),
  );
}

/** What a directory has read of the chain grows old. */
async function renewed(
  net: DevelopmentNetwork,
  users: readonly Pick<KillsUser, 'renew'>[],
  old: { close(): void },
) {
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
    note(...user.violations.splice(0));
    const wrong = judgeHolders(user.history.name, await shownByAll(user));
    if (wrong !== undefined) note(wrong);
    await sendAgain(user);
  }
  note(...judgeOnce(upstream.seen), ...filesInClear(net), ...(await strangersKnock(net)));
  const minutes = Math.round((endMs - Date.now()) / 60_000);
  console.log(`${kills} kills, ${violations.length} violations, ${minutes} minutes left`);
  paused = false;
}

/** I1, I4: what each holder shows; a node that holds none shows nothing. */
async function shownByAll(user: KillsUser): Promise<readonly string[]> {
  const shown = await Promise.all(members.map((node) => user.shownBy(node)));
  const held = shown.filter((each) => each !== undefined);
  if (user.history.acknowledged > 0 && held.length < 4)
    note(`I1: ${held.length} nodes hold ${user.history.name} instead of 4`);
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

/** I6: somebody who is no member asks each member. */
async function strangersKnock({ mockTdx }: DevelopmentNetwork): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const [at, { url }] of members.entries()) {
    const other = members[(at + 1) % members.length]?.url ?? url;
    const answers = await knockAsStranger({ asked: url, other, mockTdx: mockTdx.url });
    strangers += answers.length;
    wrong.push(...judgeStranger(answers));
  }
  return wrong;
}

const filesInClear = ({ nodes }: DevelopmentNetwork): readonly string[] =>
  nodes.flatMap(({ home }) => judgeFiles(home));

/** Faults that are put in have to be noticed by the checks, on the network that was just found to be right. */
async function checkControls(
  net: DevelopmentNetwork,
  users: readonly KillsUser[],
  deposits: Deposits,
): Promise<void> {
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
  const shown = await shownOf(deposits);
  const [id = ''] = deposits.ids;
  const nearest = [...shown.values()][0]?.holders[id]?.[0] ?? '';
  // One member has lost one record of which it is the nearest.
  const lost = new Map(
    [...shown].map(([account, { held, holders }]) => {
      const left = new Set([...held].filter((each) => account !== nearest || each !== id));
      return [account, { holders, held: left }];
    }),
  );
  const isLost = (...wrong: readonly string[]) =>
    wrong.length === 1 && wrong[0]?.includes('1 of them') === true;
  const controls: readonly (readonly [string, boolean])[] = [
    ['I9', judgeOutcome(later, newest, old)?.startsWith('I9') === true],
    ['I3', judgeOutcome(deleted, newest, old)?.startsWith('I3') === true],
    ['I2', judgeOutcome(later, newest, 'SECRET_NOT_FOUND')?.startsWith('I2') === true],
    ['I1', isLost(...judgeDeposits('I1', deposits.ids, lost))],
    ['I5', isLost(...judgeDeposits('I5', deposits.ids, lost, nearest))],
    ['I8', isLost(...judgeDeposits('I8', deposits.ids, lost))],
    ['I6', judgeStranger([{ what: 'a stranger', status: 200 }]).length === 1],
    ['I4', judgeHolders('x', [...(await shownByAll(user)), '0 secret']) !== undefined],
    ['I6', judgeOnce(new Map([...upstream.seen].map(([nonce, times]) => [nonce, times + 1]))).length > 0],
    ['I7', filesInClear(net).length === 1],
  ];
  rmSync(file);
  for (const [invariant, isNoticed] of controls)
    if (!isNoticed) note(`control: a fault against ${invariant} was not noticed`);
  console.log(
    `${controls.filter(([, isNoticed]) => isNoticed).length} of ${controls.length} controls noticed`,
  );
}

const brokenRule = (rule: string): string => new URL(`./broken-ring.mjs?rule=${rule}`, import.meta.url).href;

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
    flags: values.broken === undefined ? [] : ['--import', brokenRule(values.broken)],
  });
  await live(network).catch((error: unknown) => {
    if (!found.signal.aborted) throw error;
  });
} finally {
  await network?.close();
  await upstream[Symbol.asyncDispose]();
}
const isFound = found.signal.aborted;
if (values.broken !== undefined)
  console.log(`broken rule ${values.broken}: ${isFound ? 'found' : 'NOT FOUND'}`);
const isGood = values.broken === undefined ? violations.length === 0 : isFound;
if (isGood) rmSync(folder, { recursive: true, force: true });
else console.log(`configurations, stores and logs stay in ${folder}`);
process.exit(isGood ? 0 : 1);
