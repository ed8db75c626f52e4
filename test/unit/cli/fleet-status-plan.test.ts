import { describe, expect, it } from 'vitest';
import { readClientAccounts } from '../../../src/cli/fleet/status/client-accounts.ts';
import { planLines } from '../../../src/cli/fleet/status/plan-lines.ts';
import { readNodeAnswer } from '../../../src/restarts/node-answer.ts';
import { type AskedNode, planRestarts } from '../../../src/restarts/restart-plan.ts';
import { accountNamed, backedAnswer, fullFleet } from '../../support/fleet-answers.ts';

type Answer = Readonly<Record<string, unknown>>;
const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
const silent = { silent: 'no answer: no complete answer within 10 ms' };

function asked(answers: ReadonlyMap<string, Answer>): readonly AskedNode[] {
  return [...answers].map(([target, said]) => {
    if ('silent' in said) return { target, answer: { silent: String(said['silent']) } };
    const { clientAccounts, ...report } = said as { readonly clientAccounts?: readonly string[] };
    const answer = readNodeAnswer(report);
    if ('wrongField' in answer) throw new TypeError(`${target}: ${answer.wrongField}`);
    return { target, answer: clientAccounts === undefined ? answer : { ...answer, clientAccounts } };
  });
}

const fleetWith = (changes: Readonly<Record<string, Answer>>) => {
  const fleet = new Map(fullFleet(letters));
  for (const [name, change] of Object.entries(changes))
    fleet.set(name, 'silent' in change ? change : { ...fleet.get(name), ...change });
  return planRestarts(asked(fleet));
};
const verdicts = ({ nodes }: ReturnType<typeof planRestarts>) =>
  Object.fromEntries(nodes.map(({ target, restart }) => [target, restart]));
const of = (plan: ReturnType<typeof planRestarts>, name: string) =>
  plan.nodes.find(({ target }) => target === name);
const all = (verdict: string) => Object.fromEntries(letters.map((name) => [name, verdict]));
const slotsAt = (live: readonly string[], other: Readonly<Record<string, string>> = {}) => [
  ...live.map((name) => ({ server: accountNamed(name), standing: 'live' })),
  ...Object.entries(other).map(([name, standing]) => ({ server: accountNamed(name), standing })),
];

describe('which nodes may be restarted', () => {
  it('in a whole fleet each of them, and each is in the order', () => {
    const plan = fleetWith({});
    expect(verdicts(plan)).toEqual(all('yes'));
    expect([...plan.order].sort()).toEqual(letters);
  });

  it('none, while one node does not answer: it may need every slot', () => {
    const plan = fleetWith({ f: silent });
    expect(verdicts(plan)).toEqual(all('unknown'));
    expect(plan.order).toEqual([]);
    expect(planLines(plan).join('\n')).toContain('No node may be restarted now.');
  });

  it('a node whose own agent lists its clients does not depend on a silent node that is none of them', () => {
    const others = ['b', 'c', 'd', 'e'];
    const clients = others.map(accountNamed);
    const slots = slotsAt(others);
    const plan = fleetWith({
      a: { slots, live: 4, n: 4, t: 3, clientAccounts: clients },
      b: { clientAccounts: letters.filter((name) => name !== 'b').map(accountNamed) },
      f: silent,
    });
    expect(verdicts(plan)).toMatchObject({ a: 'yes', b: 'unknown', c: 'unknown' });
    expect(of(plan, 'b')?.reasons).toEqual([`its client ${accountNamed('f')} did not answer`]);
  });

  it('not the server without which a client has fewer slots than it needs, and the client is named', () => {
    const plan = fleetWith({
      c: {
        state: 'degraded',
        live: 3,
        slots: slotsAt(['a', 'b', 'd'], { e: 'unreachable', f: 'unreachable' }),
      },
    });
    expect(verdicts(plan)).toEqual({ ...all('yes'), a: 'no', b: 'no', d: 'no' });
    expect(of(plan, 'a')).toMatchObject({ atRisk: [accountNamed('c')] });
    expect(of(plan, 'e')).toMatchObject({ atRisk: [] });
  });

  it('not a server that counts a store at risk that was not asked', () => {
    const plan = fleetWith({ d: { clientsAtRisk: 1, clients: 6 } });
    expect(verdicts(plan)).toEqual({ ...all('yes'), d: 'no' });
  });

  it('not a server with a client that was not asked, nor one that does not say how many it has', () => {
    const plan = fleetWith({ d: { clients: 6 }, e: { clients: undefined } });
    expect(verdicts(plan)).toEqual({ ...all('yes'), d: 'unknown', e: 'unknown' });
  });

  it('not a node whose own slots are too few, by its report or by the answers of its servers', () => {
    const few = fleetWith({
      a: {
        state: 'degraded',
        live: 2,
        slots: slotsAt(['b', 'c'], { d: 'forgot', e: 'forgot', f: 'forgot' }),
      },
    });
    expect(of(few, 'a')).toMatchObject({ restart: 'no' });
    // It says that all are live, and three of the servers do not have the store open that holds their keys.
    const closed = { state: 'starting', summary: 'starting', ready: false, instanceId: undefined, slots: [] };
    const stale = fleetWith({ d: closed, e: closed, f: closed });
    expect(of(stale, 'a')).toMatchObject({ restart: 'unknown' });
    expect(of(stale, 'a')?.reasons.join()).toContain('only 2 are at servers');
  });

  it('a slot at a server that drains still opens the store, and counts', () => {
    const draining = { d: 'draining', e: 'draining', f: 'draining' };
    expect(of(fleetWith({ a: { slots: slotsAt(['b', 'c'], draining) } }), 'a')?.restart).toBe('yes');
  });

  it('no more slots count than the node says, and a server counts only when all slots there are live', () => {
    expect(of(fleetWith({ a: { state: 'degraded', live: 2 } }), 'a')?.restart).toBe('no');
    const twice = [...slotsAt(['b', 'c', 'd']), ...slotsAt([], { b: 'forgot' })];
    expect(of(fleetWith({ a: { live: 3, slots: twice } }), 'a')?.restart).toBe('no');
  });

  it.each([0, undefined])('a node whose threshold is %j has none that can be compared', (t) => {
    expect(of(fleetWith({ a: { t } }), 'a')?.restart).toBe('unknown');
  });

  it('a locked node that knows its servers from the keyslot file only needs them too', () => {
    const keyslots = { t: 3, slots: [{ server: accountNamed('a'), isLive: false }] };
    const f = { state: 'locked', ready: false, slots: [], live: undefined, keyslots };
    expect(of(fleetWith({ f }), 'a')?.restart).toBe('no');
  });

  it('a node more that is silent, doubtful or tells no servers may need every slot', () => {
    const more = (...others: readonly (readonly [string, Answer])[]) =>
      verdicts(planRestarts(asked(new Map([...fullFleet(letters), ...others]))));
    expect(more(['z', silent])).toMatchObject(all('unknown'));
    expect(more(['z', backedAnswer('z', [])])).toMatchObject(all('unknown'));
    const copy = backedAnswer('z', ['y'], { instanceId: `0x${'7'.repeat(32)}` });
    expect(more(['z', backedAnswer('z', ['y'])], ['copy', copy])).toMatchObject(all('unknown'));
    // The control: it answers, and none of them is a server of it.
    expect(more(['z', backedAnswer('z', ['y'])])).toMatchObject(all('yes'));
  });

  it('slots at servers that restarted do not count until the clients of before are back', () => {
    // The node has not asked them since: it still takes the keys that they lost for live.
    const restarted = { waitingForFormerClients: 1, ready: false };
    const plan = fleetWith({ d: restarted, e: restarted, f: restarted });
    expect(of(plan, 'a')).toMatchObject({ restart: 'unknown' });
    expect(of(plan, 'a')?.reasons.join()).toContain('only 2 are at servers');
  });

  it('slots that are bound to another platform do not count for a restart', () => {
    const slots = slotsAt(['b', 'c', 'd', 'e', 'f']).map((slot) => ({ ...slot, isBoundElsewhere: true }));
    expect(of(fleetWith({ a: { slots } }), 'a')).toMatchObject({ restart: 'no' });
  });

  it.each(['unbacked', 'locked', 'unclaimed', 'fresh', 'starting'])('not a node that is %s', (state) => {
    expect(of(fleetWith({ a: { state, ready: false } }), 'a')).toMatchObject({ restart: 'no' });
  });

  it.each(['open', 'fenced', 'invented'])('for a node that is %s it is not known', (state) => {
    expect(of(fleetWith({ a: { state, ready: false } }), 'a')).toMatchObject({ restart: 'unknown' });
  });

  it('not the servers of a locked or unclaimed node, and those of other states are not known', () => {
    for (const state of ['locked', 'unclaimed']) {
      const plan = fleetWith({ f: { state, ready: false, slots: slotsAt(['a', 'b']), live: undefined } });
      expect(verdicts(plan)).toMatchObject({ a: 'no', b: 'no', c: 'unknown', f: 'no' });
    }
    for (const state of ['open', 'fenced', 'starting', 'stopped']) {
      const plan = fleetWith({ f: { state, ready: false } });
      expect(verdicts(plan)).toMatchObject({ a: 'unknown', c: 'unknown' });
    }
    const hidden = fleetWith({ f: { state: 'locked', ready: false, slots: [] } });
    expect(verdicts(hidden)).toMatchObject({ a: 'unknown', f: 'no' });
  });

  it('a locked node that does not know its account counts too', () => {
    const locked = { state: 'locked', ready: false, accountId: undefined, slots: slotsAt(['a']) };
    expect(verdicts(fleetWith({ f: locked }))).toMatchObject({ a: 'no', f: 'no' });
  });

  it('not while a refusal, a fault of the disk, former clients or the ring stand against it', () => {
    const plan = fleetWith({
      a: { restartRefusal: 'PLATFORM_REVOKED: revoked' },
      b: { storeFault: { code: 'STORE_DISK_FULL', detail: '', sinceMs: 1 } },
      c: { waitingForFormerClients: 2, ready: false },
    });
    expect(verdicts(plan)).toEqual({ ...all('yes'), a: 'no', b: 'no', c: 'no' });
    const joining = { ring: { standing: 'joining' }, ready: false };
    const ring = fleetWith({ a: joining, b: { ring: { standing: 'serving' } } });
    expect(verdicts(ring)).toEqual({ ...all('no'), a: 'yes' });
  });

  it('at the first start of a ring the next one too: where nobody serves it, nobody waits for its records', () => {
    const joining = { ring: { standing: 'joining' }, ready: false };
    expect(verdicts(fleetWith({ a: joining }))).toEqual(all('yes'));
    expect(verdicts(fleetWith({ a: joining, b: joining, c: { ring: { standing: 'no-member' } } }))).toEqual(
      all('yes'),
    );
  });

  it('a server of a node that is gone for good, once the operator says so and the chain has no record of it', () => {
    const left = { clients: 6, clientsUnregistered: 1 };
    const gone = new Set([accountNamed('gone')]);
    const fleet = (change: Answer) => {
      const answers = new Map(fullFleet(letters));
      answers.set('a', { ...answers.get('a'), ...change });
      return asked(answers);
    };
    expect(verdicts(planRestarts(fleet(left)))).toEqual({ ...all('yes'), a: 'unknown' });
    expect(planRestarts(fleet(left)).nodes[0]?.reasons[0]).toContain('fleet status --gone ACCOUNT');
    expect(verdicts(planRestarts(fleet(left), { gone }))).toEqual(all('yes'));
    // Its own agent names it.
    const named = [...letters.slice(1), 'gone'].map(accountNamed);
    expect(verdicts(planRestarts(fleet({ ...left, clientAccounts: named }), { gone }))).toEqual(all('yes'));
    // One account excuses one client without a record, and none that the chain knows.
    for (const change of [
      { clients: 6 },
      { clients: 7, clientsUnregistered: 1 },
      { clients: 7, clientsUnregistered: 2 },
      { ...left, clientAccounts: [...named, accountNamed('other')] },
    ])
      expect(verdicts(planRestarts(fleet(change), { gone }))).toMatchObject({ a: 'unknown' });
    // Who answers is not gone.
    const alive = new Set([accountNamed('b')]);
    expect(verdicts(planRestarts(fleet(left), { gone: alive }))).toMatchObject({ a: 'unknown' });
    expect(verdicts(planRestarts(fleet({ clientsAtRisk: 1, ...left }), { gone }))).toMatchObject({ a: 'no' });
  });

  it('two instances that answer for one account are both not believed, and nothing is safe', () => {
    const fleet = new Map(fullFleet(letters));
    fleet.set('copy', backedAnswer('a', ['b', 'c', 'd'], { instanceId: `0x${'7'.repeat(32)}` }));
    const plan = planRestarts(asked(fleet));
    expect(verdicts(plan)).toEqual({ ...all('unknown'), copy: 'unknown' });
  });

  it('an impostor with the instance id of another node hides none of its needs', () => {
    const fleet = new Map(fullFleet(letters));
    const needy = slotsAt(['b', 'c', 'd'], { e: 'unreachable', f: 'unreachable' });
    fleet.set('a', { ...fleet.get('a'), state: 'degraded', live: 3, slots: needy });
    fleet.set('liar', { ...fleet.get('a'), state: 'unbacked', slots: [] });
    expect(verdicts(planRestarts(asked(fleet)))).toMatchObject({ b: 'no', c: 'no', d: 'no', e: 'yes' });
  });

  it('one node that was asked by two addresses is one node', () => {
    const fleet = new Map(fullFleet(letters));
    const a = fleet.get('a');
    if (a !== undefined) fleet.set('other address', a);
    expect(verdicts(planRestarts(asked(fleet)))).toEqual({ ...all('yes'), 'other address': 'yes' });
  });

  it('the order begins with the node whose restart leaves most slots', () => {
    const names = [...letters, 'g'];
    const fleet = new Map(fullFleet(names));
    const servers = ['b', 'c', 'd', 'e'];
    // Four of its six slots are live, and it needs three: the servers of these four come last.
    fleet.set('a', {
      ...fleet.get('a'),
      state: 'degraded',
      t: 3,
      live: 4,
      slots: slotsAt(servers, { f: 'unreachable', g: 'unreachable' }),
    });
    const { order } = planRestarts(asked(fleet));
    expect([...order.slice(0, 3)].sort()).toEqual(['a', 'f', 'g']);
    expect(order).toHaveLength(7);
  });
});

describe('the clients that an agent lists', () => {
  const listed = letters.map((name) => ({
    accountId: accountNamed(name),
    keys: 1,
    atRisk: false,
    standing: '',
    canMove: true,
  }));
  const drain = { draining: false, remaining: 4, unmovable: 2, moved: 0, clients: listed };

  it('are known when all are listed, and otherwise only their number is', () => {
    expect(readClientAccounts(drain)).toEqual(letters.map(accountNamed));
    expect(readClientAccounts({ ...drain, remaining: 5 })).toBeUndefined();
    expect(readClientAccounts({ ...drain, unmovable: 3 })).toBeUndefined();
    expect(readClientAccounts({ code: 'NODE_LOCKED' })).toBeUndefined();
  });
});

describe('answers of hostile nodes', () => {
  it.each([
    ['a state that is markup', { state: '<b>' }],
    ['no count of stores at risk', { clientsAtRisk: undefined }],
    ['a negative count', { clientsAtRisk: -1 }],
    ['more slots than there can be', { n: 17 }],
    ['a list without an end', { slots: slotsAt(Array.from({ length: 65 }, (_, index) => `x${index}`)) }],
    ['an account with control characters', { accountId: '\u001b[2J' }],
    ['ready as text', { ready: 'yes' }],
  ])('%s is refused', (_title, change) => {
    expect(readNodeAnswer(backedAnswer('a', ['b'], change))).toHaveProperty('wrongField');
  });

  it('texts reach the terminal short and without control characters', () => {
    const summary = `\u001b[31m\u202e${'x'.repeat(10_000)}`;
    const answer = readNodeAnswer(
      backedAnswer('a', ['b', 'c', 'd'], { summary, restartRefusal: '\r\nsafe' }),
    );
    if ('wrongField' in answer) throw new TypeError(answer.wrongField);
    const text = planLines(planRestarts([{ target: 'http://a', answer }])).join('\n');
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(text.length).toBeLessThan(2_000);
  });
});
