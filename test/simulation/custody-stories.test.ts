import { describe, expect, it } from 'vitest';
import { openOwnPart } from '../../src/custody/answer.ts';
import { entryOf, type JournalEntry, journalWarnings } from '../../src/custody/journal.ts';
import { judgePlatform } from '../../src/custody/judge-platform.ts';
import { judgeRequest } from '../../src/custody/judge-request.ts';
import { decodeRequest } from '../../src/custody/request.ts';
import { adviceOnCustody, custodyStatus } from '../../src/node/custody-status.ts';
import { custodySetOf } from '../../src/trust/custody-set.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { blackOut } from '../support/blackouts.ts';
import {
  answerTo,
  askCustodians,
  custodians,
  custodyOf,
  knowledgeIn,
  laterCustodians,
  lyingAnswerTo,
  trustWith,
} from '../support/custodians.ts';
import { endNetwork, type FormedNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { olderDiskOf } from '../support/older-disk.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import { defaultTrust } from '../support/simulated-network-world.ts';
import { fileOf } from '../support/slot-picture.ts';
import { codeOf } from '../support/thrown.ts';

const LONG = { timeout: 120_000 };
const [alice = expect.fail(), bob = expect.fail(), carol = expect.fail()] = custodians;
const [dave = expect.fail()] = laterCustodians;
const two = [alice, bob];
const formed = (seed: number, count = 4): Promise<FormedNetwork> => formedNetwork(seed, count, trustWith(2));
const states = ({ nodes }: SimulatedNetwork): string[] => nodes.map(({ state }) => state.name);
const judged = (net: SimulatedNetwork, text: string) => judgeRequest(decodeRequest(text), knowledgeIn(net));

describe('a custodian who is lost', () => {
  it(
    'is replaced, the store key changes, and a blackout is survived by the new set alone',
    LONG,
    async () => {
      const { net } = await formed(90);
      const { world } = net;
      const members = [alice, bob, dave];
      const section = parseTrustSection({ ...defaultTrust, custody: custodyOf(2, members) });
      world.changedCustody = { set: custodySetOf(section) };
      for (const node of net.nodes) {
        await restart(net, node);
        await net.settle(40_000);
      }
      for (const node of net.nodes) await world.clock.until(node.rotateStoreKey());
      await net.settle(30_000);
      await blackOut(net);
      const [node = expect.fail()] = net.nodes;
      const request = await world.clock.until(node.custody.request());
      expect(codeOf(() => answerTo(request, carol, knowledgeIn(net)))).toBe('CUSTODY_PART_WRONG');
      for (const machine of net.nodes) await askCustodians(net, machine, [alice, dave]);
      await net.settle(90_000);
      expect(states(net)).toEqual(Array(4).fill('backed'));
      await net.close();
    },
  );

  it('with too few of them left a fleet that lives names others before it is too late', LONG, async () => {
    const { net, node } = await formed(91);
    net.world.changedCustody = {
      set: custodySetOf(parseTrustSection({ ...defaultTrust, custody: custodyOf(2, [carol, dave]) })),
    };
    await restart(net, node);
    await net.settle(60_000);
    const [{ custody }] = (await fileOf(node)).generations;
    expect(custody?.parts.map(({ custodian }) => custodian)).toEqual(['carol', 'dave']);
    expect(adviceOnCustody(custodyStatus(node.open)).join()).toContain('latchkey rotate');
    await net.close();
  });

  it(
    'below the threshold, after a blackout: one part opens nothing, and the store stays as it is',
    LONG,
    async () => {
      const { net, node } = await formed(92);
      await blackOut(net);
      expect(await askCustodians(net, node, [carol])).toMatchObject({ opens: false });
      await net.settle(120_000);
      expect(node.state.name).toBe('locked');
      net.checkDisks();
      await endNetwork(net);
    },
  );
});

describe('a custodian who lies', () => {
  it('is named, and the honest ones open the store all the same', LONG, async () => {
    const { net, node } = await formed(93);
    await blackOut(net);
    const request = await net.world.clock.until(node.custody.request());
    const lie = lyingAnswerTo(request, alice, knowledgeIn(net));
    const honest = [bob, carol].map((one) => answerTo(request, one, knowledgeIn(net)));
    const first = await net.world.clock.until(node.custody.open([lie], false));
    expect(first).toMatchObject({ answered: [], opens: false });
    expect(first.refused).toEqual([
      expect.objectContaining({ code: 'CUSTODY_ANSWER_WRONG', field: 'alice' }),
    ]);
    const second = await net.world.clock.until(node.custody.open([lie, ...honest], false));
    expect(second).toMatchObject({ answered: ['bob', 'carol'], opens: true });
    expect(second.refused).toHaveLength(1);
    await net.close();
  });
});

describe('a thief with the disk of a node, during a blackout', () => {
  it('on a machine of the fleet: the rules about platforms refuse it', LONG, async () => {
    const section = parseTrustSection({
      ...defaultTrust,
      custody: custodyOf(2),
      platforms: { recover: 'bound' },
    });
    const { net, node } = await formedNetwork(94, 4, section);
    await blackOut(net);
    const twin = net.addTwin(node);
    twin.start();
    await net.settle(20_000);
    const request = await net.world.clock.until(twin.custody.request());
    expect(codeOf(() => answerTo(request, alice, knowledgeIn(net)))).toBe('PLATFORM_REFUSED');
    await net.close();
  });

  it(
    'without such rules the custodian is warned of another machine, and of two in the journal',
    LONG,
    async () => {
      const { net, node } = await formed(95);
      await blackOut(net);
      const own = judged(net, await net.world.clock.until(node.custody.request()));
      const journal: JournalEntry[] = [entryOf(own, net.world.clock.nowMs())];
      const twin = net.addTwin(node);
      twin.start();
      await net.settle(20_000);
      const theft = judged(net, await net.world.clock.until(twin.custody.request()));
      const { part } = openOwnPart(theft.request, alice.seed);
      expect(judgePlatform(theft, part)).toEqual([expect.stringContaining('another platform')]);
      expect(journalWarnings(journal, entryOf(theft, net.world.clock.nowMs())).join()).toContain(
        'another machine asks',
      );
      await net.close();
    },
  );
});

describe('answers and requests of another time', () => {
  it('an answer that is replayed after a restart opens nothing', LONG, async () => {
    const { net, node } = await formed(96);
    await blackOut(net);
    const request = await net.world.clock.until(node.custody.request());
    const answers = two.map((one) => answerTo(request, one, knowledgeIn(net)));
    await restart(net, node);
    await net.settle(10_000);
    await net.world.clock.until(node.custody.request());
    const { refused, opens } = await net.world.clock.until(node.custody.open(answers, true));
    expect(opens).toBe(false);
    expect(refused.map(({ code }) => code)).toEqual(['CUSTODY_REQUEST_UNKNOWN', 'CUSTODY_REQUEST_UNKNOWN']);
    await net.close();
  });

  it('a request that waited for more than a week is refused', LONG, async () => {
    const { net, node } = await formed(97);
    await blackOut(net);
    const request = await net.world.clock.until(node.custody.request());
    const nowMs = net.world.clock.nowMs() + 8 * 86_400_000;
    expect(codeOf(() => judgeRequest(decodeRequest(request), { ...knowledgeIn(net), nowMs }))).toBe(
      'CUSTODY_REQUEST_OLD',
    );
    await net.close();
  });

  it(
    'an older disk, after an answer to the newer one: nobody remembers, and the journal tells',
    LONG,
    async () => {
      const { net, node } = await formed(98);
      const { clock } = net.world;
      const old = await olderDiskOf(net, node, 5);
      await blackOut(net);
      const newer = judged(net, await clock.until(node.custody.request()));
      const journal = [entryOf(newer, clock.nowMs())];
      for (const machine of net.nodes) await clock.until(machine.kill());
      node.disk = old.afterKill();
      net.tampered.set(node, 'an older disk');
      for (const machine of net.nodes) machine.start();
      await net.settle(20_000);
      const request = await clock.until(node.custody.request());
      const warnings = journalWarnings(journal, entryOf(judged(net, request), clock.nowMs())).join('\n');
      expect(warnings).toContain('the disk is older than');
      // Nothing else knows: this is what the documents say of an older disk after a total blackout.
      for (const machine of net.nodes) await askCustodians(net, machine, two);
      await net.settle(120_000);
      expect(node.state.name).toBe('backed');
      await net.close();
    },
  );
});

describe('two instances of one account that custodians open at once', () => {
  it('one of them holds, and the other one never writes', LONG, async () => {
    const { net, node } = await formed(99);
    await blackOut(net);
    const twin = net.addTwin(node);
    twin.start();
    await net.settle(20_000);
    for (const machine of net.nodes) await askCustodians(net, machine, two);
    await net.settle(180_000);
    const writers = [node, twin].filter(({ state }) => ['open', 'degraded', 'backed'].includes(state.name));
    expect(writers).toHaveLength(1);
    await net.close();
  });
});

describe('an opening by custodians', () => {
  it('by force is kept in the store, and shown for as long as it is remembered', LONG, async () => {
    const { net, node, servers } = await formed(100);
    const { clock, wire } = net.world;
    const cuts = servers.map(({ endpoint }) => `${node.name}>${endpoint}`);
    await clock.until(node.kill());
    for (const cut of cuts) wire.cut.add(cut);
    node.start();
    await net.settle(20_000);
    expect(node.state.name).toBe('locked');
    const request = await clock.until(node.custody.request());
    const answers = two.map((one) => answerTo(request, one, knowledgeIn(net)));
    for (const cut of cuts) wire.cut.delete(cut);
    await clock.until(node.custody.open(answers, true));
    await net.settle(90_000);
    expect(node.state.name).toBe('backed');
    await restart(net, node);
    await net.settle(30_000);
    const status = custodyStatus(node.open);
    expect(status?.openings).toEqual([
      expect.objectContaining({ custodians: ['alice', 'bob'], forced: true, generation: 1 }),
    ]);
    expect(adviceOnCustody(status).join()).toContain('by force');
    await endNetwork(net);
  });

  it('that was needed is kept too, and is not called forced', LONG, async () => {
    const { net, node } = await formed(101);
    await blackOut(net);
    for (const machine of net.nodes) await askCustodians(net, machine, two, true);
    await net.settle(90_000);
    expect(custodyStatus(node.open)?.openings).toEqual([expect.objectContaining({ forced: false })]);
    expect(adviceOnCustody(custodyStatus(node.open))).toEqual([]);
    await net.close();
  });
});
