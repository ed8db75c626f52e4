import { describe, expect, it } from 'vitest';
import { AccountId, BlockHash } from '../../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../../src/chain/chain-view.ts';
import { type RegistryAnswer, RegistryFollower } from '../../../../src/node/ring/registry-follower.ts';
import { RingState } from '../../../../src/node/ring/ring-state.ts';
import { type RingConstants, registryDigest } from '../../../../src/ring/members/registry.ts';
import { RegistryLog } from '../../../../src/ring/members/registry-log.ts';
import { boundaryChain } from '../../../support/boundary-chain.ts';
import { serverRecord } from '../../../support/chain-fixtures.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const constants: RingConstants = { firstBlock: 0, everyBlocks: 10, replicas: 3 };
const others = [1, 2, 3].map((n) => serverRecord(n));
const LIAR = 3;

const snapshotAt = (number: number): ChainSnapshot => ({
  genesisHash: BlockHash.of(new Uint8Array(32)),
  block: { number, hash: BlockHash.of(new Uint8Array(32).fill(number)), timestampMs: number * 6_000 },
  // One more from 30 on.
  servers: number < 30 ? others.slice(0, 2) : others,
  undecodableRecords: 0,
  acceptedMeasurements: [],
});

/** A node whose endpoints have the state of all boundaries, or of none. */
async function node(ask: (to: AccountId, after: number) => RegistryAnswer, readsChain = true) {
  const state = await RingState.open(new MemoryStore(), constants);
  const follower = new RegistryFollower({
    state,
    constants,
    chain: boundaryChain(snapshotAt, () => readsChain),
    provenPlatform: ({ quote }) => `aa${quote[0]}`,
    ask: async (to, after) => ask(to, after),
    random: () => 0,
    log: () => undefined,
  });
  return { state, follower };
}

/** What the chain says up to 60. */
async function trueLog(): Promise<RegistryLog> {
  const { state, follower } = await node(() => {
    throw new Error('nobody');
  });
  await follower.advance(60, [], 0, false);
  return state.log;
}

/** A registry of the far future in which the liar is the only member, at a place that it chose. */
function invented(before: Uint8Array) {
  const account = AccountId.of(new Uint8Array(32).fill(LIAR));
  const anchor = BlockHash.of(new Uint8Array(32).fill(9));
  const server = { account, stash: account, evidence: new Uint8Array(32), platform: 'aa', anchor };
  const content = { block: 1_000_000, timestampMs: 1, servers: [server] };
  return { ...content, digest: registryDigest(before, content) };
}

describe('one member that lies about the registries', () => {
  const lies: readonly [string, (log: RegistryLog) => RegistryLog][] = [
    [
      'with nothing but the future',
      () => {
        const before = new Uint8Array(32);
        return RegistryLog.of({ before, registries: [invented(before)], upTo: 2 ** 52 });
      },
    ],
    [
      'with the future after what is true',
      (log) => {
        const { before, registries } = log.part();
        const all = [...registries, invented(log.newest.digest)];
        return RegistryLog.of({ before, registries: all, upTo: 2 ** 52 });
      },
    ],
    [
      'with nothing but the last boundary',
      (log) => {
        const { before, registries } = log.after(log.newest.block, 1);
        return RegistryLog.of({ before, registries: registries.slice(-1), upTo: log.upTo });
      },
    ],
  ];

  /** The liar is asked first, or last. */
  const orders = [others, others.toReversed()];
  const cases = lies.flatMap(([what, lie]) => orders.map((asked, at) => [what, at, lie, asked] as const));

  it.each(cases)('%s changes nothing at a node that reads the chain (%i)', async (_, _at, lie, asked) => {
    const honest = await trueLog();
    const { state, follower } = await node((to, after) => ({
      serving: 60,
      log: to[0] === LIAR ? lie(honest) : RegistryLog.of(honest.after(after, 1000)),
    }));
    await follower.advance(60, asked, 0, false);
    // Its message names a newer boundary, so the members are asked.
    await follower.advance(60, asked, 0, true);
    expect(state.log.part()).toEqual(honest.part());
  });

  it.each(cases)(
    '%s adds nothing to what an honest one says to a late node (%i)',
    async (_, _at, lie, asked) => {
      const honest = await trueLog();
      const { state, follower } = await node(
        (to, after) => ({
          serving: 60,
          log: to[0] === LIAR ? lie(honest) : RegistryLog.of(honest.after(after, 1000)),
        }),
        false,
      );
      const two = asked.filter(({ account }) => account[0] !== 1);
      await follower.advance(60, two, 0, false);
      // Either all of it, or nothing: a view that is left out is another order of views than that of the others.
      const full = state.log.upTo === 60;
      expect(state.log.part()).toEqual(full ? honest.part() : RegistryLog.from(constants).part());
    },
  );

  it.each(cases)('%s does not keep two honest ones from being believed (%i)', async (_, _at, lie, asked) => {
    const honest = await trueLog();

    const { state, follower } = await node(
      (to, after) => ({
        serving: 60,
        log: to[0] === LIAR ? lie(honest) : RegistryLog.of(honest.after(after, 1000)),
      }),
      false,
    );
    await follower.advance(60, asked, 0, false);
    expect(state.log.part()).toEqual(honest.part());
  });
});
