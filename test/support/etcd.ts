import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '../../devnet/free-port.ts';
import { tempFolder } from './temp-folder.ts';

/** Whether Debian's etcd-server is installed. */
export const hasEtcd = spawnSync('etcd', ['--version']).status === 0;
if (!hasEtcd) console.log('etcd is not installed (Debian: etcd-server): tests on etcd are skipped');

/** One member of a cluster. */
export interface EtcdMember {
  readonly name: string;
  readonly url: string;
  /** The process that runs now. */
  readonly process: ChildProcess;
  /** Ends it with a signal, and waits until it has ended. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on its data. */
  restart(): Promise<void>;
}

/** A cluster on 127.0.0.1, in a temporary folder. */
export interface EtcdCluster extends AsyncDisposable {
  readonly endpoints: readonly string[];
  readonly members: readonly EtcdMember[];
  /** The member that leads now. */
  leader(): Promise<EtcdMember>;
}

export interface EtcdClusterOptions {
  readonly members?: number;
  /** Further arguments of each member. */
  readonly args?: readonly string[];
  readonly scheme?: 'http' | 'https';
  /** Arguments of etcdctl and of the checks whether a member serves. */
  readonly ctl?: readonly string[];
}

/** Runs etcdctl against an endpoint. @returns what it printed. */
export function etcdctl(endpoint: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('etcdctl', ['--endpoints', endpoint, ...args], {
    env: { PATH: process.env['PATH'] ?? '', ETCDCTL_API: '3' },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Starts a cluster and waits until each member serves. */
export async function startEtcd(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  const { members: count = 1, args = [], scheme = 'http', ctl = [] } = options;
  const folder = await tempFolder();
  const planned = await Promise.all(
    Array.from({ length: count }, async (_, index) => ({
      name: `m${index}`,
      url: `${scheme}://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = planned.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const members = planned.map(({ name, url, peer }) =>
    runMember(name, url, ctl, [
      ...['--name', name, '--data-dir', join(folder.path, name), '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', cluster],
      ...['--initial-cluster-token', folder.path],
      ...args,
    ]),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill('SIGKILL')));
    await folder[Symbol.asyncDispose]();
  };
  try {
    await Promise.all(members.map((member) => member.untilServing()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoints: members.map(({ url }) => url),
    members,
    async leader() {
      for (;;) {
        for (const member of members) if (isLeader(member.url, ctl)) return member;
        await sleep(50);
      }
    },
    [Symbol.asyncDispose]: stop,
  };
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function isLeader(url: string, ctl: readonly string[]): boolean {
  try {
    const [, , , , leader] = etcdctl(url, ...ctl, 'endpoint', 'status').split(', ');
    return leader === 'true';
  } catch {
    return false;
  }
}

function runMember(name: string, url: string, ctl: readonly string[], args: readonly string[]) {
  let output = '';
  const start = (): ChildProcess => {
    const child = spawn('etcd', args, {
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr?.on('data', (part: Buffer) => {
      output = (output + part.toString()).slice(-4000);
    });
    return child;
  };
  let child = start();
  return {
    name,
    url,
    get process() {
      return child;
    },
    async kill(signal: NodeJS.Signals) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
    async restart() {
      child = start();
      await this.untilServing();
    },
    async untilServing() {
      for (;;) {
        if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}: ${output}`);
        try {
          etcdctl(url, ...ctl, 'endpoint', 'health', '--command-timeout', '2s');
          return;
        } catch {
          await sleep(50);
        }
      }
    },
  };
}
