import { describe, expect, it } from 'vitest';
import { LatchkeyError, ProblemError } from '../../src/errors/latchkey-error.ts';
import { custodyStatus } from '../../src/node/custody-status.ts';
import { custodySetOf } from '../../src/trust/custody-set.ts';
import { blackOut, seriesOfBlackouts } from '../support/blackouts.ts';
import { answerTo, askCustodians, custodians, knowledgeIn, trustWith } from '../support/custodians.ts';
import { endNetwork, type FormedNetwork, formedNetwork, restart } from '../support/formed-network.ts';
import { olderDiskOf } from '../support/older-disk.ts';
import type { SimulatedNetwork } from '../support/simulated-network.ts';
import { fileOf } from '../support/slot-picture.ts';

const LONG = { timeout: 120_000 };
const [alice = expect.fail(), bob = expect.fail(), carol = expect.fail()] = custodians;

const states = ({ nodes }: SimulatedNetwork): string[] => nodes.map(({ state }) => state.name);

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof LatchkeyError ? error.code : String(error);
}

const formed = (seed: number, count = 4): Promise<FormedNetwork> => formedNetwork(seed, count, trustWith(2));

describe('a total blackout', () => {
  it('without custodians every store stays locked, unchanged', LONG, async () => {
    const { net, node } = await formedNetwork(40, 4);
    await blackOut(net);
    await net.settle(60_000);
    expect(states(net)).toEqual(Array(4).fill('locked'));
    expect(await codeOf(net.world.clock.until(node.custody.request()))).toBe('CUSTODY_ABSENT');
    await net.close();
  });

  it('two of three custodians give every store back, and all are backed again', LONG, async () => {
    const { net } = await formed(41);
    await blackOut(net);
    expect(states(net)).toEqual(Array(4).fill('locked'));
    for (const node of net.nodes) {
      expect(await askCustodians(net, node, [alice, carol])).toMatchObject({
        answered: ['alice', 'carol'],
        opens: true,
      });
    }
    await net.settle(90_000);
    expect(states(net)).toEqual(Array(4).fill('backed'));
    await restart(net, net.nodes[0]);
    await net.settle(10_000);
    expect(net.nodes[0]?.open).toBeDefined();
    await endNetwork(net);
  });

  it('one custodian is not enough, and a second answer of the same one changes nothing', LONG, async () => {
    const { net, node } = await formed(42);
    await blackOut(net);
    const request = await net.world.clock.until(node.custody.request());
    const answer = answerTo(request, alice, knowledgeIn(net));
    const progress = await net.world.clock.until(node.custody.open([answer, answer], false));
    expect(progress).toMatchObject({ answered: ['alice'], threshold: 2, opens: false });
    await net.settle(20_000);
    expect(node.state.name).toBe('locked');
    await net.close();
  });

  it(
    'a node that custodians opened writes nothing and serves others until it holds its account',
    LONG,
    async () => {
      const { net, node } = await formed(43);
      await blackOut(net);
      await askCustodians(net, node, [alice, bob]);
      await net.settle(20_000);
      expect(node.state.name).toBe('unclaimed');
      expect(node.keyServer).toBeDefined();
      expect(
        await codeOf(
          node.open?.store.namespace('x').then((x) => x.put('a', new Uint8Array(1))) ?? Promise.resolve(),
        ),
      ).toBe('NODE_UNCLAIMED');
      await net.close();
    },
  );

  it('a node serves nobody before it could ask the servers that are there', LONG, async () => {
    const { net, node } = await formed(52);
    await blackOut(net);
    let isChainAway = true;
    node.chain.forge = (records) => {
      if (isChainAway && node.state.name === 'unclaimed')
        throw new ProblemError('CHAIN_UNAVAILABLE', 'no endpoint answers');
      return records;
    };
    await askCustodians(net, node, [alice, bob]);
    await net.settle(20_000);
    expect(node.state).toMatchObject({
      name: 'unclaimed',
      reason: expect.stringContaining('CHAIN_UNAVAILABLE'),
    });
    expect(node.keyServer).toBeUndefined();
    isChainAway = false;
    await net.settle(20_000);
    expect(node.state.name).toBe('unclaimed');
    expect(node.keyServer).toBeDefined();
    await net.close();
  });

  it('a restart voids the request', LONG, async () => {
    const { net, node } = await formed(44);
    await blackOut(net);
    const request = await net.world.clock.until(node.custody.request());
    const answer = answerTo(request, alice, knowledgeIn(net));
    await restart(net, node);
    await net.settle(10_000);
    expect(await codeOf(net.world.clock.until(node.custody.open([answer], false)))).toBe(
      'CUSTODY_REQUEST_UNKNOWN',
    );
    await net.world.clock.until(node.custody.request());
    const progress = await net.world.clock.until(node.custody.open([answer], false));
    expect(progress.refused.map(({ code }) => code)).toEqual(['CUSTODY_REQUEST_UNKNOWN']);
    await net.close();
  });
});

describe('a total blackout after which most key servers stay away', () => {
  it('passes over silent servers once their patience is over, and not before', LONG, async () => {
    const { net, node, servers, newest } = await formed(51, 7);
    const away = servers.slice(0, newest.t);
    const here = net.nodes.filter((machine) => !away.includes(machine));
    for (const machine of net.nodes) await net.world.clock.until(machine.kill());
    for (const machine of here) machine.start();
    await net.settle(20_000);
    for (const machine of here.filter((one) => one !== node)) await askCustodians(net, machine, [alice, bob]);
    await askCustodians(net, node, [alice, bob]);
    const { patienceMs } = net.world.config.healing;
    await net.settle(patienceMs / 2);
    expect(node.state.name).toBe('unclaimed');
    await net.settle(patienceMs + 120_000);
    expect(node.open?.store.isReleased).toBe(true);
    await net.close();
  });
});

describe('a series of total blackouts', () => {
  it('loses no store with custody, and all without', { timeout: 300_000 }, async () => {
    const violations: string[] = [];
    expect(await seriesOfBlackouts(60, 4, true)).toMatchObject({ blackouts: 4, lost: 0, violations });
    expect(await seriesOfBlackouts(61, 4, true)).toMatchObject({ blackouts: 4, lost: 0, violations });
    const without = await seriesOfBlackouts(62, 1, false);
    expect(without.lost).toBe(without.stores);
  });
});

describe('custodians and a store that its servers still open', () => {
  it('an open node makes no request', LONG, async () => {
    const { net, node } = await formed(45);
    expect(await codeOf(net.world.clock.until(node.custody.request()))).toBe('CUSTODY_NOT_NEEDED');
    await endNetwork(net);
  });

  it(
    'refuses the answers while t servers give their keys; forced, an older disk is still refused',
    LONG,
    async () => {
      const { net, node } = await formed(46);
      const { clock } = net.world;
      const old = await olderDiskOf(net, node);
      await clock.until(node.stop());
      node.disk = old;
      net.tampered.set(node, 'an older disk');
      node.start();
      await net.settle(10_000);
      expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
      const request = await clock.until(node.custody.request());
      const answers = [alice, bob].map((one) => answerTo(request, one, knowledgeIn(net)));
      expect(await codeOf(clock.until(node.custody.open(answers, false)))).toBe('CUSTODY_NOT_NEEDED');
      await clock.until(node.custody.open(answers, true));
      await net.settle(20_000);
      expect(node.state).toMatchObject({ name: 'locked', cause: 'rolled-back' });
      await net.close();
    },
  );

  it(
    'an older disk is fenced by a server that remembers the store, though it gave no key',
    LONG,
    async () => {
      const { net, node, servers } = await formed(47);
      const { clock } = net.world;
      const old = await olderDiskOf(net, node);
      await clock.until(node.stop());
      node.disk = old;
      net.tampered.set(node, 'an older disk');
      for (const server of servers.slice(1)) await restart(net, server);
      node.start();
      await net.settle(20_000);
      expect(node.state).toMatchObject({ name: 'locked' });
      await askCustodians(net, node, [alice, bob]);
      await net.settle(20_000);
      expect(node.open?.store.isReleased ?? false).toBe(false);
      expect(['locked', 'fenced']).toContain(node.state.name);
      await net.close();
    },
  );
});

describe('another set of custodians', () => {
  const change = ({ world }: SimulatedNetwork, threshold: number): void => {
    world.changedCustody = { set: custodySetOf(trustWith(threshold)) };
  };

  it('the parts are in every generation, and under its MAC', LONG, async () => {
    const { net, node } = await formed(48);
    const [newest] = (await fileOf(node)).generations;
    expect(newest.custody).toMatchObject({ threshold: 2, formerSets: false });
    expect(newest.custody?.parts.map(({ custodian }) => custodian)).toEqual(['alice', 'bob', 'carol']);
    await endNetwork(net);
  });

  it('new custodians get parts at once, and the file says that former ones had some', LONG, async () => {
    const { net, node } = await formed(49);
    change(net, 3);
    await restart(net, node);
    await net.settle(60_000);
    expect(node.state.name).toBe('backed');
    const [newest] = (await fileOf(node)).generations;
    expect(newest.custody).toMatchObject({ threshold: 3, formerSets: true });
    expect(custodyStatus(node.open)).toMatchObject({ threshold: 3, rotationNeeded: true });
    await net.close();
  });

  it('a change of the store key leaves the former custodians behind', LONG, async () => {
    const { net, node } = await formed(50);
    change(net, 3);
    await restart(net, node);
    await net.settle(60_000);
    await net.world.clock.until(node.rotateStoreKey());
    await net.settle(30_000);
    const [newest] = (await fileOf(node)).generations;
    expect(newest.custody).toMatchObject({ threshold: 3, formerSets: false });
    await net.close();
  });
});
