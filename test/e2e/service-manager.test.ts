import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { agentUntil } from '../support/ask-agent.ts';
import { canNotify, type NotifySocket, openNotifySocket } from '../support/notify-socket.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** What a real node tells by the real `systemd-notify`; steps build on one another. */
describe.skipIf(!canNotify).sequential('a node under a service manager', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let other: NodePlace;
  let socket: NotifySocket;
  const url = (): string => `http://127.0.0.1:${(subject.config['listen'] as { port: number }).port}`;
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;

  /** Starts the node with the variables that systemd sets. */
  function startSupervised(watchdogUsec: number): void {
    Object.assign(process.env, {
      NOTIFY_SOCKET: join(folder.path, 'notify'),
      WATCHDOG_USEC: String(watchdogUsec),
    });
    subject.start();
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC']) delete process.env[name];
  }

  beforeAll(async () => {
    folder = await tempFolder();
    socket = await openNotifySocket(join(folder.path, 'notify'));
    network = await twoNodeNetwork(folder.path);
    [subject, other] = network.nodes;
  }, 240_000);

  afterEach((context) => {
    if (context.task.result?.state === 'fail') console.error(subject.log().slice(-3_000), socket.messages);
  });

  afterAll(async () => {
    await network?.close();
    await socket?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('is ready when its listeners answer, and says later that its store is backed', async () => {
    startSupervised(600_000_000);
    const first = await socket.line(/^READY=1$/);
    expect(socket.messages.indexOf(first)).toBe(0);
    expect((await fetch(`${url()}/healthz`)).status).toBe(200);
    expect(first).toContainEqual(expect.stringMatching(/^STATUS=(starting|fresh)/));
    other.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
    await socket.line(/^STATUS=backed \(/);
  });

  it('says that it stops, before it does', async () => {
    await subject.end('SIGTERM');
    await socket.line(/^STOPPING=1$/);
    expect(subject.log().trimEnd().split('\n').at(-1)).toContain('"node.stopped"');
  });

  it('is ready while its store is locked, and shows signs of life then too', async () => {
    await other.end('SIGKILL');
    const from = socket.messages.length;
    startSupervised(2_000_000);
    await socket.line(/^READY=1$/, from);
    await socket.line(/^STATUS=locked \(0 of 1\)/, from);
    expect((await fetch(`${url()}/readyz`)).status).toBe(503);
    expect((await fetch(`${url()}/info`)).status).toBe(200);
    await socket.line(/^WATCHDOG=1$/, from);
  });

  it('ends although the manager has stopped to read', async () => {
    socket.stall();
    await subject.end('SIGTERM');
    expect(subject.log().trimEnd().split('\n').at(-1)).toContain('"node.stopped"');
  });
});
