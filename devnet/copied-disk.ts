import { cpSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { DevelopmentNode, isFullyBacked, isOpen } from './development-node.ts';
import { freePort } from './free-port.ts';
import type { Timeline } from './timeline.ts';

const dataOf = ({ home }: Pick<DevelopmentNode, 'home'>): string => join(home, 'data');
/** Copies a disk as it lies there; sockets of a process that was killed are no part of it. */
const copyDisk = (from: string, to: string): void =>
  cpSync(from, to, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });

const copyOf = (node: DevelopmentNode, what: string): string => join(node.home, `data.${what}`);

async function write(node: DevelopmentNode, value: string): Promise<number> {
  const { status } = await node.ask('PUT', '/kv/demo/copied', {
    value: Buffer.from(value).toString('base64'),
  });
  return status;
}

/** The host of a node puts an old copy of its disk back; at the end the newest disk is in place and the node runs. */
export async function showOldDisk(node: DevelopmentNode, timeline: Timeline): Promise<void> {
  const [old, newest] = [copyOf(node, 'old'), copyOf(node, 'newest')];
  await timeline.step(`kill ${node.name}, and copy its disk`, async () => {
    await node.end('SIGKILL');
    copyDisk(dataOf(node), old);
  });
  await timeline.step(`${node.name} starts and writes`, async () => {
    node.start();
    // Backed again: its servers were told how far the store is.
    await node.until('backed by five servers', isFullyBacked);
    if ((await write(node, 'newer')) !== 200) throw new Error('it does not write');
  });
  await timeline.step('kill it, and put the old disk in its place', async () => {
    await node.end('SIGKILL');
    renameSync(dataOf(node), newest);
    copyDisk(old, dataOf(node));
  });
  await timeline.step(
    `${node.name} refuses the old disk`,
    async () => {
      node.start();
      return node.until(
        'locked because of an old disk',
        ({ state, cause }) => state === 'locked' && cause === 'rolled-back',
      );
    },
    ({ summary }) => summary,
  );
  await timeline.step('the newest disk is put back, and opens', async () => {
    await node.end('SIGKILL');
    rmSync(dataOf(node), { recursive: true });
    renameSync(newest, dataOf(node));
    rmSync(old, { recursive: true });
    node.start();
    await node.until('backed by five servers', isFullyBacked);
  });
}

/**
 * The host pauses a node and runs a copy of it in a second TD of the same machine: its servers give the key to no other
 * machine (`recover: bound`). The copy holds the account, and the first one is fenced when it goes on. At the end the
 * disk of the copy, which is the newest, is the node's, and the node runs.
 */
export async function showClone(node: DevelopmentNode, rootFile: string, timeline: Timeline): Promise<void> {
  const clone = await furnishClone(node, rootFile);
  await timeline.step(
    `pause ${node.name} (SIGSTOP), and copy its disk for a second TD on the same machine`,
    async () => {
      node.signal('SIGSTOP');
      copyDisk(dataOf(node), dataOf(clone));
    },
  );
  try {
    await timeline.step('the copy starts, and holds the account', async () => {
      clone.start();
      await clone.until('backed', ({ state }) => state === 'backed');
      if ((await write(clone, 'by the copy')) !== 200) throw new Error('the copy does not write');
    });
    node.signal('SIGCONT');
    await timeline.step(
      `${node.name} goes on, is fenced, and writes nothing more`,
      async () => {
        const fenced = await node.until('fenced', ({ state }) => state === 'fenced');
        const status = await write(node, 'by the first');
        if (status !== 503) throw new Error(`a write was answered with ${status}`);
        return fenced;
      },
      ({ summary }) => summary,
    );
  } finally {
    await clone.end('SIGKILL');
  }
  await timeline.step(`${node.name} goes on with the newest disk, that of the copy`, async () => {
    await node.end('SIGKILL');
    rmSync(dataOf(node), { recursive: true });
    renameSync(dataOf(clone), dataOf(node));
    node.start();
    await node.until('open', isOpen);
    const { json } = await node.ask('GET', '/kv/demo/copied');
    const value = typeof json === 'object' && json !== null && 'value' in json ? String(json.value) : '';
    if (Buffer.from(value, 'base64').toString() !== 'by the copy')
      throw new Error('it does not have what the copy wrote');
  });
}

/** A second TD on the machine of a node: its configuration, ports of its own, and no record on the chain. */
async function furnishClone(node: DevelopmentNode, rootFile: string): Promise<DevelopmentNode> {
  const home = `${node.home}-copy`;
  const [port, metricsPort] = [await freePort(), await freePort()];
  mkdirSync(home, { recursive: true });
  const config: unknown = parse(readFileSync(node.configFile, 'utf8'));
  if (typeof config !== 'object' || config === null || !('chain' in config)) {
    throw new TypeError(`${node.configFile} is not the configuration of a node`);
  }
  const { developmentRegistration: _none, ...chain } = Object(config.chain);
  const copied = {
    ...config,
    listen: { host: '127.0.0.1', port },
    metrics: { host: '127.0.0.1', port: metricsPort },
    chain,
  };
  writeFileSync(join(home, 'latchkey.yaml'), stringify(copied, { aliasDuplicateObjects: false }));
  return new DevelopmentNode({ number: node.number, home, port, metricsPort, rootFile, mayLie: false });
}
