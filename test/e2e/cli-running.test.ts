import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { straySignals } from '../../src/cli/shared/stray-signals.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** Name and content of every file below, so that any change shows. */
const pictureOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const path = join(folder, name);
      return `${name} ${statSync(path).isFile() ? toHex(sha256(readFileSync(path))) : ''}`;
    })
    .sort();

/** Commands and signals that meet a node that runs; steps build on one another. */
describe.sequential('a running node', { timeout: 240_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let other: NodePlace;
  /** The same folder with a socket that has no listener: only the lock of the folder shows that a node runs. */
  let otherSocket: string;
  const nodeFolder = (): string => join(subject.home, 'data', 'node');
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;
  const isLocked = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['state'] === 'locked';
  const metrics = async (): Promise<string> => {
    const { port } = subject.config['metrics'] as { port: number };
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  };

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path);
    [subject, other] = network.nodes;
    otherSocket = subject.write('other-socket.yaml', {
      ...subject.config,
      agent: { socketPath: './elsewhere.sock' },
    });
    subject.start();
    other.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
    expect((await askAgent(subject.socketPath, 'PUT', '/kv/demo/a', { value: 'YQ==' }))?.status).toBe(200);
  }, 240_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  /** Every command that would change the folder, by both configurations. */
  async function refuseAll(): Promise<void> {
    const before = pictureOf(nodeFolder());
    writeFileSync(join(folder.path, 'any'), 'no backup');
    writeFileSync(join(folder.path, 'password'), 'a long password\n');
    for (const config of [subject.configFile, otherSocket]) {
      const root = ['--config', config, '--insecure-trust-root', subject.rootFile];
      for (const args of [
        ['abandon', '--config', config, '--yes'],
        ['unlock', ...root],
        ['restore', ...root, '--from', join(folder.path, 'any')],
      ]) {
        const refused = await subject.run(...args);
        expect(refused.stderr, args[0]).toContain('NODE_RUNNING');
        expect(refused.code, args[0]).toBe(1);
      }
    }
    for (const action of ['check', 'compact', 'repair']) {
      const path = join(nodeFolder(), 'store');
      const done = await subject.run(
        'store',
        action,
        '--path',
        path,
        '--password-file',
        join(folder.path, 'password'),
      );
      expect(done.code, action).not.toBe(0);
    }
    // Nothing was moved. The running node may have added files, but no file is missing.
    const names = (picture: readonly string[]) => picture.map((line) => line.split(' ')[0]);
    expect(names(pictureOf(nodeFolder()))).toEqual(expect.arrayContaining(names(before)));
    expect(readdirSync(join(subject.home, 'data')).some((name) => name.includes('abandoned'))).toBe(false);
  }

  it('keeps its folder and its data: every command that would move them is refused', async () => {
    await refuseAll();
    expect((await askAgent(subject.socketPath, 'GET', '/kv/demo/a'))?.json).toEqual({ value: 'YQ==' });
  });

  it.each(straySignals)('continues after %s, and logs the signal', async (signal) => {
    const { pid } = subject;
    subject.signal(signal);
    const isLogged = () => subject.log().includes(`"signal":"${signal}"`);
    for (let waited = 0; !isLogged() && waited < 600; waited++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isLogged()).toBe(true);
    expect(subject.isRunning && subject.pid === pid).toBe(true);
    expect((await askAgent(subject.socketPath, 'GET', '/kv/demo/a'))?.json).toEqual({ value: 'YQ==' });
    expect(subject.log()).not.toContain('Debugger listening');
  });

  it('when locked, refuses the same commands, and its metrics fire the documented alerts', async () => {
    await subject.end('SIGKILL');
    await other.end('SIGKILL');
    subject.start();
    await agentUntil(subject.socketPath, '/status', isLocked);
    await refuseAll();
    const text = await metrics();
    expect(text).toContain('latchkey_node_state{state="locked"} 1');
    expect(text).toContain('latchkey_slots_live 0');
    expect(text).toContain('latchkey_slots_wanted 1');
    expect(text).toContain('latchkey_slots_threshold 1');
  });

  it('ends cleanly after SIGQUIT, without a core file', async () => {
    subject.signal('SIGQUIT');
    for (let waited = 0; subject.isRunning && waited < 600; waited++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(subject.log().trimEnd().split('\n').at(-1)).toContain('"node.stopped"');
  });

  it('leaves no lock behind when it is killed: the folder can be moved away', async () => {
    subject.start();
    await agentUntil(subject.socketPath, '/status', isLocked);
    await subject.end('SIGKILL');
    const done = await subject.run('abandon', '--config', otherSocket, '--yes');
    expect(done.code, done.stderr).toBe(0);
    expect(readdirSync(join(subject.home, 'data')).some((name) => name.includes('abandoned'))).toBe(true);
  });
});
