import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import type { ShownFleet } from '../../../src/http/page-data.ts';
import { FleetLook } from '../../../src/node/fleet-look.ts';
import type { Fetch } from '../../../src/outbound/bounded-fetch.ts';
import { accountBytes, accountNamed, fullFleet } from '../../support/fleet-answers.ts';
import { settled, VirtualScheduler } from '../../support/virtual-scheduler.ts';

const NAMES = ['self', 'a', 'b', 'c', 'd', 'e'];
const record = (name: string): ServerRecord =>
  ({ account: accountBytes(name), endpoint: `${name}.example:3001` }) as ServerRecord;
const json = (body: unknown): Response => new Response(JSON.stringify(body));

/** A node that looks at a fleet of six; all of them are well. */
describe('a look of the status page at the fleet', () => {
  let clock: VirtualScheduler;
  let ending: AbortController;
  let asked: string[];
  let servers: readonly ServerRecord[] | undefined;
  let answers: Map<string, Readonly<Record<string, unknown>>>;
  let answer: Fetch;
  let look: FleetLook;
  let reportFails: boolean;

  beforeEach(() => {
    clock = new VirtualScheduler();
    ending = new AbortController();
    asked = [];
    reportFails = false;
    servers = NAMES.map(record);
    answers = new Map(fullFleet(NAMES));
    answer = async (url) => json(answers.get(new URL(url).hostname.split('.')[0] ?? ''));
    look = new FleetLook({
      clock: {
        nowMs: () => clock.nowMs(),
        sleep: (ms) => clock.sleep(ms),
        schedule: (ms, task) => clock.after(ms, task),
      },
      fetch: (url, init) => {
        asked.push(url);
        return answer(url, init);
      },
      watch: { servers: () => servers },
      report: {
        status: () => {
          if (reportFails) throw new Error('a defect');
          return answers.get('self') ?? {};
        },
        clients: () => NAMES.slice(1).map(accountBytes),
      },
      ending: ending.signal,
    });
  });
  afterEach(() => ending.abort());

  /** Looks until a round is over. */
  async function lookAgain(): Promise<ShownFleet> {
    look.view();
    for (let tries = 0; tries < 10_000; tries++) {
      const shown = look.view();
      if (!shown.isAsking) return shown;
      await settled();
    }
    throw new Error('the round does not end');
  }
  const restarts = ({ nodes }: ShownFleet) => new Set(nodes.map(({ restart }) => restart));

  it('asks each other server of the chain twice, itself not at all, and says the order', async () => {
    const shown = await lookAgain();
    expect(shown.nodes.map(({ account }) => account)).toEqual(NAMES.map(accountNamed));
    expect(shown.nodes[0]?.target).toBe('this node, self.example:3001');
    expect([...restarts(shown)]).toEqual(['yes']);
    expect(shown.order).toHaveLength(6);
    expect(asked.sort()).toEqual(
      NAMES.slice(1).flatMap((name) => [
        `http://${name}.example:3001/info`,
        `http://${name}.example:3001/readyz`,
      ]),
    );
  });

  it('many views begin one round, and the next one after a pause', async () => {
    for (let views = 0; views < 100; views++) look.view();
    await lookAgain();
    for (let views = 0; views < 100; views++) await lookAgain();
    expect(asked).toHaveLength(10);
    await clock.advance(10_000);
    await lookAgain();
    expect(asked).toHaveLength(20);
  });

  it('a clock that is set back ends no answer’s age: the next round begins at once', async () => {
    await lookAgain();
    await clock.advance(-3_600_000);
    expect(look.view()).toMatchObject({ isAsking: true, nodes: [], order: [] });
  });

  it('what was found is not shown when it is more than a minute old', async () => {
    await lookAgain();
    answer = () => new Promise(() => undefined);
    await clock.advance(60_000);
    expect(look.view().order).toHaveLength(6);
    await clock.advance(1);
    expect(look.view()).toEqual({ isAsking: true, nodes: [], order: [] });
  });

  it('servers that never answer end with the round, and where one is silent nothing is safe that may need it', async () => {
    const normal = answer;
    answer = (url, init) => (url.includes('//c.') ? new Promise(() => undefined) : normal(url, init));
    look.view();
    await settled();
    await clock.advance(60_000);
    const shown = await lookAgain();
    expect(shown.nodes.find(({ account }) => account === accountNamed('c'))).toMatchObject({
      restart: 'unknown',
      ready: false,
    });
    // This node knows its clients, and c is one of them.
    expect([...restarts(shown)]).toEqual(['unknown']);
    expect(shown.order).toEqual([]);
  });

  it('a huge answer, markup and an answer in another name count for nothing', async () => {
    const hostile: Record<string, () => Response> = {
      a: () => new Response(new Uint8Array(1024 * 1024 + 1)),
      b: () => new Response('<script>globalThis.hit=1</script>'),
      c: () => json(answers.get('d')),
      d: () => json({ ...answers.get('d'), summary: '<b>'.repeat(10_000) }),
    };
    const normal = answer;
    answer = async (url, init) => hostile[new URL(url).hostname.split('.')[0] ?? '']?.() ?? normal(url, init);
    const shown = await lookAgain();
    const summaries = shown.nodes.map(({ summary }) => summary);
    expect(summaries[1]).toContain('larger than');
    expect(summaries[2]).toBe('it answers 200 without JSON');
    expect(summaries[3]).toContain(`it answers as ${accountNamed('d')}`);
    expect(summaries[4]?.length).toBeLessThan(400);
    expect(shown.order).toEqual([]);
    expect(JSON.stringify(shown)).not.toContain('script');
  });

  it('a chain with very many servers: some are asked, the others are silent, and nothing is safe', async () => {
    servers = [...NAMES.map(record), ...Array.from({ length: 300 }, (_, index) => record(`x${index}`))];
    const shown = await lookAgain();
    expect(new Set(asked).size).toBe(2 * 256);
    expect(shown.nodes).toHaveLength(306);
    expect(shown.nodes.at(-1)?.summary).toContain('more than 256 servers');
    // This node knows its clients, and all of them answered; the clients of the others are not known.
    expect(shown.order).toEqual(['this node, self.example:3001']);
    for (const { reasons } of shown.nodes) expect(reasons.length).toBeLessThanOrEqual(8);
    expect(shown.nodes[1]?.moreReasons).toBeGreaterThan(200);
  });

  it('no more than 16 servers are asked at the same time', async () => {
    servers = Array.from({ length: 100 }, (_, index) => record(`x${index}`));
    answer = () => new Promise(() => undefined);
    look.view();
    await settled();
    expect(asked).toHaveLength(32);
  });

  it('while the chain is not known it says so and asks nobody', async () => {
    servers = undefined;
    expect(await lookAgain()).toEqual({
      isAsking: false,
      nodes: [],
      order: [],
      problem: expect.stringContaining('not known'),
    });
    expect(asked).toEqual([]);
  });

  it('ends with the node, and begins no round after that', async () => {
    answer = () => new Promise(() => undefined);
    look.view();
    ending.abort();
    await lookAgain();
    const before = asked.length;
    await clock.advance(3_600_000);
    expect(look.view().isAsking).toBe(false);
    expect(asked).toHaveLength(before);
  });

  it('a node that is not on the chain, or whose store is closed, counts too', async () => {
    servers = NAMES.slice(1).map(record);
    expect((await lookAgain()).nodes[0]).toMatchObject({ target: 'this node', restart: 'yes' });
    answers.set('self', { state: 'locked', summary: 'locked', ready: false, clients: 0, clientsAtRisk: 0 });
    await clock.advance(10_000);
    const closed = await lookAgain();
    expect(closed.nodes[0]).toMatchObject({ target: 'this node', restart: 'no' });
    expect(restarts(closed)).not.toContain('yes');
  });

  it('a locked node is shown once: under the account of its keyslot file, which the chain shows too', async () => {
    answers.set('self', {
      state: 'locked',
      summary: 'locked',
      ready: false,
      clients: 0,
      clientsAtRisk: 0,
      keyslotAccount: accountNamed('self'),
    });
    const { nodes } = await lookAgain();
    expect(nodes.map(({ account }) => account)).toEqual(NAMES.map(accountNamed));
    expect(nodes[0]).toMatchObject({
      target: 'this node, self.example:3001',
      state: 'locked',
      restart: 'no',
    });
    expect(asked.some((url) => url.includes('self.example'))).toBe(false);
    // A file of the host's making can hide a node, and so prevents answers; it makes no restart look safe.
    answers.set('self', { ...answers.get('self'), keyslotAccount: accountNamed('a') });
    await clock.advance(10_000);
    expect(restarts(await lookAgain())).not.toContain('yes');
  });

  it('a round that fails is over, says why, and the next one waits as ever', async () => {
    reportFails = true;
    expect(await lookAgain()).toMatchObject({
      nodes: [],
      problem: 'the servers could not be asked: a defect',
    });
    reportFails = false;
    expect(await lookAgain()).toMatchObject({ problem: expect.stringContaining('a defect') });
    await clock.advance(10_000);
    expect((await lookAgain()).problem).toBeUndefined();
  });
});
