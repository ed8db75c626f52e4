import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../devnet/free-port.ts';
import { agentUntil, askAgent } from '../support/ask-agent.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

type Json = Readonly<Record<string, unknown>>;

/** A real node through its states, asked on all its interfaces. Steps build on one another. */
describe.sequential('a node with a status page', { timeout: 180_000 }, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  let peer: NodePlace;
  let pagePort: number;

  beforeAll(async () => {
    folder = await tempFolder();
    pagePort = await freePort();
    network = await twoNodeNetwork(folder.path, { page: { port: pagePort } });
    [subject, peer] = network.nodes;
  }, 180_000);
  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  const fetched = (section: 'listen' | 'metrics', path: string) =>
    fetch(`http://127.0.0.1:${(subject.config[section] as { port: number }).port}${path}`);

  /** State, cause, readiness and advice on each interface. */
  async function told(): Promise<{
    readonly readyz: Json;
    readonly status: Json;
    readonly page: Json;
    readonly metrics: string;
  }> {
    const readyz = (await (await fetched('listen', '/readyz')).json()) as Json;
    const status = (await askAgent(subject.socketPath, 'GET', '/status'))?.json ?? {};
    const page = (await (await fetch(`http://localhost:${pagePort}/data.json`)).json()) as { status: Json };
    return {
      readyz,
      status,
      page: page.status,
      metrics: await (await fetched('metrics', '/metrics')).text(),
    };
  }

  /** Waits for a state, and until nothing changes between the four questions. */
  async function inState(wanted: (status: Json) => boolean) {
    await agentUntil(subject.socketPath, '/status', ({ json }) => wanted(json));
    for (let tries = 0; ; tries++) {
      const before = await told();
      const after = await told();
      const isCalm = JSON.stringify(wordsOf(before.status)) === JSON.stringify(wordsOf(after.status));
      if ((isCalm && wanted(after.status)) || tries > 60) return after;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  const wordsOf = ({ state, cause, ready, summary, advice }: Json) => ({
    state,
    cause,
    ready,
    summary,
    advice,
  });

  function requireOneVoice({ readyz, status, page, metrics }: Awaited<ReturnType<typeof told>>): void {
    expect(wordsOf(page)).toEqual(wordsOf(status));
    expect(wordsOf(readyz)).toMatchObject({
      state: status['state'],
      ready: status['ready'],
      summary: status['summary'],
      cause: status['cause'],
    });
    // The advice on custody is not for the open port.
    expect(status['advice']).toEqual(expect.arrayContaining(readyz['advice'] as unknown[]));
    expect(metrics).toContain(`latchkey_node_state{state="${status['state']}"} 1\n`);
    const { cause } = status;
    if (cause === undefined) expect(metrics).not.toContain('latchkey_node_cause{');
    else expect(metrics).toContain(`latchkey_node_cause{cause="${cause}"} 1\n`);
  }

  type FleetNode = {
    readonly target: string;
    readonly account?: string;
    readonly restart: string;
    readonly atRiskCount?: number;
    readonly answer?: { readonly accountId?: string };
  };
  async function fleetOnPage(): Promise<{ readonly nodes: readonly FleetNode[] }> {
    for (;;) {
      const answer = (await (await fetch(`http://localhost:${pagePort}/fleet.json`)).json()) as {
        readonly isAsking: boolean;
        readonly askedAt?: string;
        readonly nodes: readonly FleetNode[];
      };
      if (answer.askedAt !== undefined && !answer.isAsking) return answer;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  it('unbacked: alone', async () => {
    subject.start();
    const said = await inState(({ state }) => state === 'unbacked');
    requireOneVoice(said);
    expect(`${said.page['advice']}`).toContain('Do not restart this node before it is backed');
    expect(subject.log()).toContain(`"page":"http://127.0.0.1:${pagePort}"`);
  });

  it('backed: with a server and a client, which would be at risk', async () => {
    peer.start();
    requireOneVoice(await inState(({ ready, clientsAtRisk }) => ready === true && clientsAtRisk === 1));
    const page = (await (await fetch(`http://127.0.0.1:${pagePort}/data.json`)).json()) as Json;
    const { json } = await agentUntil(peer.socketPath, '/status', ({ json: { ready } }) => ready === true);
    expect(page).toMatchObject({
      serving: {
        clients: [{ account: json['accountId'], keys: expect.any(Number), isAtRisk: true }],
        notListed: 0,
      },
      chain: { block: expect.any(Number), ageMs: expect.any(Number) },
      disk: { takesWrites: true, storeBytes: expect.any(Number) },
      status: { slots: [{ server: json['accountId'], standing: 'live' }], generation: expect.any(Number) },
    });
    expect(page['collateral']).toMatchObject([{ state: 'fresh' }]);
  });

  it('the fleet on the page: the same verdicts as `latchkey fleet status` gives', async () => {
    const { nodes } = await fleetOnPage();
    const { json: other } = await agentUntil(
      peer.socketPath,
      '/status',
      ({ json: { ready } }) => ready === true,
    );
    const { stdout } = await subject.run('fleet', 'status', '--servers-of', subject.configFile, '--json');
    const inTerminal = JSON.parse(stdout) as { nodes: readonly FleetNode[] };
    const verdicts = (list: readonly FleetNode[], accountOf: (node: FleetNode) => unknown) =>
      new Map(list.map((node) => [accountOf(node), node.restart]));
    expect(verdicts(nodes, ({ account }) => account)).toEqual(
      verdicts(inTerminal.nodes, ({ answer }) => answer?.accountId),
    );
    expect(nodes.map(({ account }) => account)).toContain(other['accountId']);
    // Each of the two has its only slot at the other one.
    expect(nodes.map(({ restart, atRiskCount }) => [restart, atRiskCount])).toEqual([
      ['no', 1],
      ['no', 1],
    ]);
    expect(nodes[0]?.target).toMatch(/^this node, 127\.0\.0\.1:\d+$/);
  });

  it('a refused request is shown with its reason', async () => {
    const { port } = subject.config['listen'] as { port: number };
    await fetch(`http://127.0.0.1:${port}/request-encryption-key`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ accountId: '<img src=x onerror=alert(1)>' }),
    });
    const page = (await (await fetch(`http://127.0.0.1:${pagePort}/data.json`)).json()) as Json;
    expect(page['refusals']).toMatchObject([
      { code: 'FIELD_INVALID', meaning: expect.stringContaining('field') },
    ]);
  });

  it('draining', async () => {
    await subject.run('drain', '--config', subject.configFile);
    const said = await inState(({ ready }) => ready === false);
    requireOneVoice(said);
    expect(`${said.page['advice']}`).toContain('This server drains');
    await subject.run('drain', '--config', subject.configFile, '--cancel');
  });

  it('degraded: the server is gone', async () => {
    await peer.end('SIGTERM');
    requireOneVoice(await inState(({ state }) => state === 'degraded'));
  });

  it('locked: restarted without the server, and the page is up', async () => {
    await subject.end('SIGTERM');
    subject.start();
    const said = await inState(({ state, cause }) => state === 'locked' && cause === 'keys-missing');
    requireOneVoice(said);
    expect((await fetch(`http://127.0.0.1:${pagePort}/`)).status).toBe(200);
    expect(said.page).not.toHaveProperty('accountId');
  });
});
