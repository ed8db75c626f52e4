import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentUntil } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** Two nodes, each the only key server of the other. Steps build on one another. */
describe.sequential('latchkey fleet status', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let first: NodePlace;
  let second: NodePlace;

  // A server knows of a client when it has said how many slots it has.
  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) =>
    json['ready'] === true && json['clients'] === 1;
  const urlOf = ({ config }: NodePlace) => `http://127.0.0.1:${(config['listen'] as { port: number }).port}`;
  const status = async (...args: readonly string[]) => {
    const { stdout, code, stderr } = await first.run('fleet', 'status', ...args);
    return { text: stdout, code, stderr };
  };

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path);
    [first, second] = network.nodes;
    for (const node of network.nodes) node.start();
    for (const node of network.nodes) await agentUntil(node.socketPath, '/status', isReady);
  }, 180_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('says that neither may be restarted, and which store is at risk, by URL and by configuration', async () => {
    for (const targets of [
      [urlOf(first), urlOf(second)],
      [first.configFile, second.configFile],
      ['--servers-of', first.configFile],
    ]) {
      const { text, code } = await status(...targets, '--json');
      expect(code).toBe(0);
      const { nodes, order } = JSON.parse(text);
      expect(order).toEqual([]);
      const accounts = nodes.map(({ answer }: { answer: { accountId: string } }) => answer.accountId);
      expect(nodes).toMatchObject([
        { restart: 'no', atRisk: [accounts[1]], answer: { ready: true, clients: 1 } },
        { restart: 'no', atRisk: [accounts[0]], answer: { ready: true, clients: 1 } },
      ]);
    }
    const { text } = await status(urlOf(first), urlOf(second));
    expect(text).toContain('do not restart');
    expect(text).toContain('No node may be restarted now.');
  });

  it('one node alone says nothing of the other: its answer is careful', async () => {
    const { text } = await status(second.configFile, '--json');
    const [node] = JSON.parse(text).nodes;
    expect(node.reasons.join()).toContain('did not answer');
  });

  it('a node that is stopped is shown as such, with exit code 2', async () => {
    await second.end('SIGTERM');
    const { text, code } = await status(urlOf(first), urlOf(second));
    expect(code).toBe(2);
    expect(text).toContain('no answer');
    expect(text).toContain('No node may be restarted now.');
    expect((await status()).code).toBe(2);
  });
});
