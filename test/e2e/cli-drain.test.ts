import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** Two nodes that back each other up: a draining node cannot lose its only client. Steps build on one another. */
describe.sequential('latchkey drain', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let peer: NodePlace;
  let account: unknown;

  const isReady = ({ json }: { json: Readonly<Record<string, unknown>> }) => json['ready'] === true;
  const drain = (...options: readonly string[]) =>
    subject.run('drain', '--config', subject.configFile, ...options);
  const fetched = (section: 'listen' | 'metrics', path: string) => {
    const { port } = subject.config[section] as { port: number };
    return fetch(`http://127.0.0.1:${port}${path}`);
  };

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path);
    [subject, peer] = network.nodes;
    for (const node of network.nodes) node.start();
    await agentUntil(subject.socketPath, '/status', isReady);
    const { json } = await agentUntil(peer.socketPath, '/status', isReady);
    account = json['accountId'];
  }, 180_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it('waits until its deadline, lists the remaining clients, and exits with 1', async () => {
    const waited = await drain('--wait', '--deadline-ms', '3000');
    expect(waited.code).toBe(1);
    expect(waited.stdout).toContain('1 client still needs this server, 0 moved');
    expect(waited.stdout).toContain(`${account}`);
    expect(waited.stdout).toContain('AT RISK');
    expect(waited.stdout).toContain('Draining goes on');
  });

  it('the drain continues after the command has ended, and every interface of the node reports it', async () => {
    const readyz = await fetched('listen', '/readyz');
    expect([readyz.status, await readyz.json()]).toMatchObject([
      503,
      { ready: false, state: 'backed', draining: { remaining: 1, moved: 0 } },
    ]);
    expect(await (await fetched('listen', '/info')).json()).toMatchObject({ draining: true });
    expect(await (await fetched('metrics', '/metrics')).text()).toContain('latchkey_draining 1\n');
    const status = await subject.run('status', '--config', subject.configFile);
    expect(status.code).toBe(2);
    expect(status.stdout).toContain('draining: needed by 1, 0 moved');
    expect(subject.log()).toContain('"drain.started"');
  });

  it('the client is told under the MAC of its slot, stays because there is no other server, and reports why', async () => {
    const { json } = await agentUntil(peer.socketPath, '/status', ({ json: report }) =>
      JSON.stringify(report['slots']).includes('"draining"'),
    );
    expect(json).toMatchObject({ state: 'backed', ready: true, live: 1 });
    const explained = await peer.run('status', '--config', peer.configFile, '--explain');
    expect(explained.stdout).toContain('1 of its 1 key servers is about to be stopped');
    expect(peer.log()).toContain('"server.draining"');
  });

  it('a second drain changes nothing; --json prints the answer of the agent', async () => {
    const [first, second] = [await drain('--json'), await drain('--json')];
    expect([first.code, second.code]).toEqual([1, 1]);
    const [one, two] = [JSON.parse(first.stdout), JSON.parse(second.stdout)];
    expect(one).toMatchObject({ draining: true, remaining: 1, moved: 0, clients: [{ accountId: account }] });
    expect(two.sinceMs).toBe(one.sinceMs);
  });

  it('a client that restarts while its server drains opens its store again', async () => {
    await peer.end('SIGKILL');
    peer.start();
    const { json } = await agentUntil(peer.socketPath, '/status', isReady);
    expect(json['accountId']).toBe(account);
  });

  it('--cancel ends the drain', async () => {
    const cancelled = await drain('--cancel');
    expect(cancelled).toMatchObject({ code: 0, stdout: 'not draining; 1 client with keys here\n' });
    expect((await fetched('listen', '/readyz')).status).toBe(200);
    const { json } = (await askAgent(subject.socketPath, 'GET', '/drain')) ?? {};
    expect(json).toMatchObject({ draining: false });
  });

  it('a restart of the node ends the drain, and a waiting command is told', async () => {
    const waiting = drain('--wait');
    await agentUntil(subject.socketPath, '/drain', ({ json }) => json['draining'] === true);
    await subject.end('SIGTERM');
    const waited = await waiting;
    expect(waited.code).toBe(2);
    expect(waited.stderr).toContain('NODE_UNREACHABLE');
    subject.start();
    await agentUntil(subject.socketPath, '/status', isReady);
    const { json } = (await askAgent(subject.socketPath, 'GET', '/drain')) ?? {};
    expect(json).toMatchObject({ draining: false });
  });

  it.each([
    [['--cancel', '--wait'], 'cannot be used with'],
    [['--deadline-ms', '5s'], 'whole number of milliseconds'],
  ] as const)('%j is refused', async (options, reason) => {
    const refused = await drain(...options);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(reason);
  });
});
