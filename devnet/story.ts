import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { showClone, showOldDisk } from './copied-disk.ts';
import { type DevelopmentNode, isFullyBacked, isOpen, type NodeStatus } from './development-node.ts';
import { showForgedKeyslots } from './forged-keyslots.ts';
import type { DevelopmentNetwork } from './network.ts';
import { showPlatformMove } from './platform-move.ts';
import { showRefusals } from './refusals.ts';
import { GIVE_UP_AFTER_MS } from './slowness.ts';
import type { Timeline } from './timeline.ts';

const RECORDS = 20;

/** The demonstration: every step is checked, and the first that does not hold ends it. */
export async function tellStory(network: DevelopmentNetwork, timeline: Timeline): Promise<void> {
  const { chain, nodes, mockTdx } = network;
  const alice = nodeAt(nodes, 0);

  timeline.chapter('A node is killed and gets its key back');
  await timeline.step(`${alice.name} writes ${RECORDS} records`, () => writeRecords(alice));
  await restart(alice, timeline, 'SIGKILL');

  timeline.chapter('Two of its key servers are dead');
  let [first, second, third] = await serversOf(alice, nodes);
  await timeline.step(`kill ${first.name} and ${second.name}`, () =>
    Promise.all([first.end('SIGKILL'), second.end('SIGKILL')]),
  );
  await restart(alice, timeline, 'SIGKILL');
  await timeline.step(`${first.name} and ${second.name} come back, all stores are backed again`, async () => {
    first.start();
    second.start();
    await allBacked(nodes);
  });

  timeline.chapter('One key server hangs, one lies');
  const around = await serversOf(alice, nodes);
  second = oneThat(around, ({ mayLie }) => mayLie);
  first = oneThat(around, (node) => node !== second);
  await alice.end('SIGKILL');
  const logged = alice.logLength();
  first.signal('SIGSTOP');
  second.signal('SIGUSR2');
  await startAndRead(
    alice,
    timeline,
    `${alice.name} opens although ${first.name} hangs and ${second.name} lies`,
  );
  await timeline.step(
    'both are named',
    () => untilNamed(alice, logged, first, second),
    (text) => text,
  );
  first.signal('SIGCONT');
  await timeline.step(
    `${second.name} is replaced by an honest process, all stores are backed again`,
    async () => {
      await second.end('SIGKILL');
      second.start();
      await allBacked(nodes);
    },
  );

  timeline.chapter('Three key servers cannot be reached');
  [first, second, third] = await serversOf(alice, nodes);
  await alice.end('SIGKILL');
  const before = fingerprint(join(alice.home, 'data', 'node'));
  for (const server of [first, second, third]) server.signal('SIGSTOP');
  await timeline.step(
    `${alice.name} stays locked`,
    async () => {
      alice.start();
      return alice.until(
        'locked at 2 of 3',
        ({ state, have, need }) => state === 'locked' && have === 2 && need === 3,
      );
    },
    ({ summary }) => summary,
  );
  await timeline.step('its disk is untouched', async () => {
    if (fingerprint(join(alice.home, 'data', 'node')) !== before)
      throw new Error('the files of the locked store changed');
  });
  first.signal('SIGCONT');
  await timeline.step(`${first.name} answers again, and ${alice.name} opens`, async () => {
    await alice.until('open', isOpen);
    await readRecords(alice);
  });
  for (const server of [second, third]) server.signal('SIGCONT');
  await timeline.step('all stores are backed again', () => allBacked(nodes));

  timeline.chapter('All its key servers restart, one after another');
  const servers = await serversOf(alice, nodes);
  for (const server of servers) {
    await timeline.step(`${server.name} restarts and waits for its clients`, async () => {
      await server.end('SIGKILL');
      server.start();
      await server.until('ready', ({ ready }) => ready);
    });
  }
  await restart(alice, timeline, 'SIGKILL');
  await timeline.step('all stores are backed', () => allBacked(nodes));

  timeline.chapter('Its host forges the keyslot file');
  await showForgedKeyslots(alice, chain.url, timeline);
  await startAndRead(alice, timeline, `${alice.name} opens with its own keyslot file`);
  await timeline.step('all stores are backed', () => allBacked(nodes));

  timeline.chapter('Its host puts an old disk back');
  await showOldDisk(alice, timeline);

  timeline.chapter('Its host runs a copy');
  await showClone(alice, network.rootFile, timeline);
  await timeline.step('all stores are backed', () => allBacked(nodes));

  timeline.chapter('Its disk goes to another machine');
  await showPlatformMove(network, alice, timeline);
  await timeline.step('all stores are backed', () => allBacked(nodes));

  timeline.chapter('What is refused');
  await showRefusals(nodeAt(nodes, 1), mockTdx.url, timeline);
  sayHowToLook(network, timeline);
}

function nodeAt(nodes: readonly DevelopmentNode[], index: number): DevelopmentNode {
  const node = nodes[index];
  if (node === undefined) throw new RangeError(`there is no node ${index}`);
  return node;
}

/** Waits until every node has five live slots: with fewer, the story could not count on three that are needed. */
export async function allBacked(nodes: readonly DevelopmentNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.until('backed by five servers', isFullyBacked)));
}

/** The first step of every network: all nodes are backed by five servers. */
export async function formNetwork({ nodes }: DevelopmentNetwork, timeline: Timeline): Promise<void> {
  await timeline.step('all nodes find each other on the chain and are backed (5 slots, 3 needed)', () =>
    allBacked(nodes),
  );
}

/** Writes some records through the agent. */
export async function writeRecords(node: DevelopmentNode): Promise<void> {
  for (let index = 0; index < RECORDS; index++) {
    const value = Buffer.from(`record ${index}`).toString('base64');
    const { status } = await node.ask('PUT', `/kv/demo/record-${index}`, { value });
    if (status !== 200) throw new Error(`writing record ${index} answered ${status}`);
  }
}

/** Checks the records of {@link writeRecords}. */
export async function readRecords(node: DevelopmentNode): Promise<void> {
  for (let index = 0; index < RECORDS; index++) {
    const { json } = await node.ask('GET', `/kv/demo/record-${index}`);
    const value = typeof json === 'object' && json !== null && 'value' in json ? String(json.value) : '';
    if (Buffer.from(value, 'base64').toString() !== `record ${index}`)
      throw new Error(`record ${index} is not what was written`);
  }
}

/** Kills the node, starts it again, and checks account and records. */
async function restart(
  node: DevelopmentNode,
  timeline: Timeline,
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<void> {
  await timeline.step(`kill ${node.name} (${signal})`, () => node.end(signal));
  await startAndRead(node, timeline, `${node.name} starts, gets its key from its peers, and has its records`);
}

async function startAndRead(node: DevelopmentNode, timeline: Timeline, text: string): Promise<void> {
  const account = node.accountId;
  await timeline.step(
    text,
    async () => {
      node.start();
      const status = await node.until('open', isOpen);
      if (status.accountId !== account)
        throw new Error(`it came back as ${status.accountId}, it was ${account}`);
      await readRecords(node);
      return status;
    },
    ({ summary }) => summary,
  );
}

type FiveNodes = [DevelopmentNode, DevelopmentNode, DevelopmentNode, DevelopmentNode, DevelopmentNode];

/** The five nodes that hold a slot of this one. */
async function serversOf(node: DevelopmentNode, nodes: readonly DevelopmentNode[]): Promise<FiveNodes> {
  const { slots = [] } = await node.until('backed by five servers', isFullyBacked);
  const servers = slots.flatMap(({ server }) => nodes.filter(({ accountId }) => accountId === server));
  const [a, b, c, d, e] = servers;
  if (a && b && c && d && e && servers.length === 5) return [a, b, c, d, e];
  throw new Error(`${node.name} has ${servers.length} servers instead of 5`);
}

function oneThat(
  nodes: readonly DevelopmentNode[],
  condition: (node: DevelopmentNode) => boolean,
): DevelopmentNode {
  const found = nodes.find(condition);
  if (found === undefined) throw new Error('no such node among its servers');
  return found;
}

async function untilNamed(
  node: DevelopmentNode,
  from: number,
  hanging: DevelopmentNode,
  lying: DevelopmentNode,
): Promise<string> {
  const standing = (log: string, server: DevelopmentNode, word: string): string | undefined =>
    log
      .split('\n')
      .find((line) => line.includes(server.accountId) && line.includes(word) && line.includes('slot.'));
  const end = Date.now() + GIVE_UP_AFTER_MS;
  while (Date.now() < end) {
    const log = readFileSync(node.logFile).subarray(from).toString('utf8');
    const hung = standing(log, hanging, 'unreachable') ?? standing(log, hanging, 'no answer');
    const lied = standing(log, lying, 'server lied');
    if (hung !== undefined && lied !== undefined) {
      return `${hanging.name}: ${reasonOf(hung)}; ${lying.name}: ${reasonOf(lied)}`;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const status: NodeStatus | undefined = await node.status();
  throw new Error(`not both were named: ${JSON.stringify(status?.slots)}`);
}

function reasonOf(line: string): string {
  const event: unknown = JSON.parse(line);
  return typeof event === 'object' && event !== null && 'reason' in event ? String(event.reason) : line;
}

/** One hash over names and contents of all files below a folder. */
function fingerprint(folder: string): string {
  const hash = createHash('sha256');
  const visit = (path: string): void => {
    for (const name of readdirSync(path).sort()) {
      const child = join(path, name);
      const kind = statSync(child);
      if (kind.isDirectory()) visit(child);
      else if (kind.isFile()) hash.update(child).update(readFileSync(child));
    }
  };
  visit(folder);
  return hash.digest('hex');
}

function sayHowToLook({ nodes, mockTdx, chain }: DevelopmentNetwork, timeline: Timeline): void {
  const node = nodeAt(nodes, 0);
  timeline.say(`
chain    ${chain.url}
mock-tdx ${mockTdx.url}
nodes    ${nodes.map(({ url }) => url).join(' ')}

Look at it:
  curl -s ${node.url}/readyz
  curl -s --unix-socket ${node.socketPath} http://localhost/kv/demo/record-0
  curl -s http://127.0.0.1:${node.metricsPort}/metrics | grep latchkey_slots`);
}
