import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adviceOn, type LockedCause } from '../../src/boot/node/locked-cause.ts';
import { takeSocketLock } from '../../src/disk/socket-lock.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** A clock three hours ahead. */
const ahead = 'data:text/javascript,const now=Date.now.bind(Date);Date.now=()=>now()+10800000;';

const canMount = (() => {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A real node that cannot open its store, for one reason after the other: each is named, with its own advice. */
describe.sequential('the reported reason of a closed store', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let other: NodePlace;
  const data = (): string => join(subject.home, 'data');
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;

  beforeAll(async () => {
    folder = await tempFolder();
    const freshness = { chainHeadMaxAgeMs: 120_000 };
    network = await twoNodeNetwork(folder.path, {}, { freshness });
    [subject, other] = network.nodes;
    // A disk of its own, which can be filled and made read-only.
    mkdirSync(data());
    if (canMount) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', data()]);
    subject.start();
    other.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
  }, 240_000);

  afterAll(async () => {
    await network?.close();
    if (canMount) execFileSync('umount', ['-l', data()]);
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  /** Waits for the cause, and checks the text that a person gets. */
  async function expectCause(cause: LockedCause): Promise<void> {
    await agentUntil(subject.socketPath, '/status', ({ json }) => json['cause'] === cause, 200_000);
    const explained = await subject.run('status', '--config', subject.configFile, '--explain');
    expect(explained.code).toBe(2);
    expect(explained.stdout).toContain(adviceOn(cause));
  }

  it('another process holds the folder', async () => {
    await subject.end('SIGTERM');
    const lock = await takeSocketLock(data());
    subject.start();
    await expectCause('other-process');
    if ('release' in lock) await lock.release();
    await agentUntil(subject.socketPath, '/status', isReady);
  });

  it('the clock of the machine is ahead', async () => {
    await subject.end('SIGTERM');
    subject.startUnder(['--import', ahead]);
    await expectCause('clock');
  });

  it.skipIf(!canMount)('the disk is read-only', async () => {
    await subject.end('SIGTERM');
    // The socket of the agent must be in another folder.
    execFileSync('mount', ['-o', 'remount,ro', data()]);
    const elsewhere = { ...subject.config, agent: { socketPath: join(folder.path, 'agent.sock') } };
    subject.write('latchkey.yaml', elsewhere);
    subject.start();
    await agentUntil(
      join(folder.path, 'agent.sock'),
      '/status',
      ({ json }) => json['cause'] === 'disk-read-only',
      200_000,
    );
    const explained = await subject.run('status', '--config', subject.configFile, '--explain');
    expect(explained.stdout).toContain(adviceOn('disk-read-only'));
    await subject.end('SIGTERM');
    subject.write('latchkey.yaml', subject.config);
    execFileSync('mount', ['-o', 'remount,rw', data()]);
  });

  it.skipIf(!canMount)('the disk is full: the node opens, and reports that it cannot write', async () => {
    subject.start();
    await agentUntil(subject.socketPath, '/status', isReady);
    const filler = join(data(), 'filler');
    try {
      writeFileSync(filler, new Uint8Array(8 << 20));
    } catch {
      // As full as it gets.
    }
    const value = Buffer.alloc(1 << 20, 7).toString('base64');
    const put = () => askAgent(subject.socketPath, 'PUT', '/kv/demo/large', { value });
    expect((await put())?.status).toBe(507);
    const ports = subject.config as { listen: { port: number }; metrics: { port: number } };
    const metrics = async () => (await fetch(`http://127.0.0.1:${ports.metrics.port}/metrics`)).text();
    const ready = async () => (await fetch(`http://127.0.0.1:${ports.listen.port}/readyz`)).json();
    expect(await ready()).toMatchObject({ storeFault: { code: 'STORE_DISK_FULL' } });
    expect(await metrics()).toContain('latchkey_store_write_fault 1');
    expect(await metrics()).toMatch(/latchkey_store_free_bytes \d+/);
    expect(subject.log()).toContain('"store.write-failed"');
    const explained = await subject.run('status', '--config', subject.configFile, '--explain');
    expect(explained.stdout).toContain(adviceOn('disk-full'));
    execFileSync('rm', [filler]);
    expect((await put())?.status).toBe(200);
    expect(await ready()).not.toHaveProperty('storeFault');
    expect(await metrics()).toContain('latchkey_store_write_fault 0');
  });

  it('the key servers do not answer', async () => {
    await other.end('SIGTERM');
    await subject.end('SIGTERM');
    subject.start();
    await expectCause('keys-missing');
  });

  it('no endpoint of the chain answers', async () => {
    network.chain.setSilent(true);
    network.chain.dropConnections();
    await subject.end('SIGTERM');
    subject.start();
    await expectCause('chain-unreachable');
    network.chain.setSilent(false);
  });
});
