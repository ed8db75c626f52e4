import { describe, expect, it } from 'vitest';
import { AccountId, BlockHash } from '../../../../src/bytes/fixed-bytes.ts';
import type { ChainSnapshot } from '../../../../src/chain/chain-view.ts';
import { RegistryFollower } from '../../../../src/node/ring/registry-follower.ts';
import { RingMail } from '../../../../src/node/ring/ring-mail.ts';
import { RingState } from '../../../../src/node/ring/ring-state.ts';
import type { PlatformProof, RingConstants } from '../../../../src/ring/members/registry.ts';
import type { RingMember } from '../../../../src/ring/placement/member.ts';
import type { FromNode, RingReply, RingRequest } from '../../../../src/ring/replication/messages.ts';
import type { RingNode } from '../../../../src/ring/replication/ring-node.ts';
import { boundaryChain } from '../../../support/boundary-chain.ts';
import { serverRecord } from '../../../support/chain-fixtures.ts';
import { MemoryStore } from '../../../support/memory-store.ts';

const constants: RingConstants = { firstBlock: 0, everyBlocks: 10, replicas: 3 };
const honest: PlatformProof = ({ quote }) => `aa${quote[0]}`;
const others = [1, 2, 3].map((n) => serverRecord(n));

/** Servers of the chain by block: one more from 30 on. */
const serversAt = (number: number) => (number < 30 ? others.slice(0, 2) : others);

function snapshotAt(number: number): ChainSnapshot {
  return {
    genesisHash: BlockHash.of(new Uint8Array(32)),
    block: { number, hash: BlockHash.of(new Uint8Array(32).fill(number)), timestampMs: number * 6_000 },
    servers: serversAt(number),
    undecodableRecords: 0,
    acceptedMeasurements: [],
  };
}

/** The mail and the memory of one node, and what it noticed. */
async function member(
  network: Map<string, RingMail>,
  byte: number,
  options: {
    readonly proof?: PlatformProof;
    readonly prunedBelow?: number;
    readonly mayServe?: () => boolean;
    readonly node?: RingNode;
  } = {},
) {
  const account = AccountId.of(new Uint8Array(32).fill(byte));
  const state = await RingState.open(new MemoryStore(), constants);
  const noticed: string[] = [];
  const paced: number[] = [];
  const mail = new RingMail({
    state,
    node: () => options.node,
    mayServe: options.mayServe ?? (() => true),
    ask: async (to, content) => {
      const answer = await network.get(`${to}`)?.answer(account, content);
      if (answer === undefined) throw new Error('unreachable');
      return answer;
    },
    pace: async (_member, units) => void paced.push(units),
    onAhead: () => noticed.push('ahead'),
    onDiffers: (who) => noticed.push(`differs ${who[0]}`),
  });
  network.set(`${account}`, mail);
  const follower = new RegistryFollower({
    state,
    constants,
    chain: boundaryChain(snapshotAt, (number) => number >= (options.prunedBelow ?? 0)),
    provenPlatform: options.proof ?? honest,
    ask: (to, after) => mail.registriesOf(to, after),
    random: () => 0,
    log: () => undefined,
  });
  const advance = (newest: number, asked = others) => follower.advance(newest, asked, 0, false);
  return { account, state, mail, follower, noticed, paced, advance };
}

describe('registries of a node that cannot read all boundaries', () => {
  it('come from the other members, and are the same', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    const b = await member(network, 2);
    for (const one of [a, b]) await one.advance(60);
    const late = await member(network, 9, { prunedBelow: 55 });
    await late.advance(60);
    expect(late.follower.isUpTo(60)).toBe(true);
    expect(late.state.log.contradicts(a.state.log)).toBe(false);
    expect(late.state.log.newest.block).toBe(a.state.log.newest.block);
  });

  it('do not come from one member alone while there are more', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    await a.advance(60);
    const late = await member(network, 9, { prunedBelow: 55 });
    await late.advance(60);
    expect(late.follower.isUpTo(60)).toBe(false);
    expect(late.follower.problem).toContain('cannot be read');
    await late.advance(60, others.slice(0, 1));
    expect(late.follower.isUpTo(60)).toBe(true);
  });

  it('do not come from members that contradict each other', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    const liar = await member(network, 2, { proof: ({ quote }) => `bb${quote[0]}` });
    for (const one of [a, liar]) await one.advance(60);
    const late = await member(network, 9, { prunedBelow: 55 });
    await late.advance(60);
    expect(late.follower.isUpTo(60)).toBe(false);
    expect(late.follower.problem).toContain('RING_VIEWS_DIFFER');
  });

  it('wait for an operator when nobody has them: a boundary is never left out', async () => {
    const network = new Map<string, RingMail>();
    const alone = await member(network, 1, { prunedBelow: 55 });
    await alone.advance(60);
    expect(alone.state.log.upTo).toBe(0);
    // With an archive endpoint the same node reads all of it, and others take it from there.
    const archive = await member(network, 2);
    await archive.advance(60);
    await alone.advance(60, others.slice(1, 2));
    expect(alone.state.log.upTo).toBe(60);
  });

  it('a host that shows an older finalized chain makes a node late, not different', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    const held = await member(network, 2);
    await a.advance(60);
    await held.advance(20);
    expect(held.state.log.contradicts(a.state.log)).toBe(false);
    await a.mail.registriesOf(held.account, 0);
    expect(held.noticed).toContain('ahead');
    expect(a.noticed).toEqual([]);
  });
});

describe('a message between members', () => {
  it('is refused by a member that has another registry at the same boundary, and its answers do not count', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    const liar = await member(network, 2, { proof: ({ quote }) => `bb${quote[0]}` });
    for (const one of [a, liar]) await one.advance(60);
    await expect(a.mail.registriesOf(liar.account, 0)).rejects.toThrow();
    await expect(liar.mail.registriesOf(a.account, 0)).rejects.toThrow();
    expect(a.noticed).toContain('differs 2');
    expect(liar.noticed).toContain('differs 1');
  });

  it('waits for its turn by the work that it makes, before it is answered', async () => {
    const network = new Map<string, RingMail>();
    const status = { adopted: 0, complete: 0, draining: false, tooOld: [] };
    const done: FromNode<RingReply> = { status, message: { kind: 'done' } };
    const node = { view: { block: 0 }, answer: async () => done } as unknown as RingNode;
    const asker = await member(network, 1, { node });
    const asked = await member(network, 2, { node });
    for (const one of [asker, asked]) await one.advance(60);
    const to = { account: asked.account } as RingMember;
    const ask = (message: RingRequest) => asker.mail.transport.ask(to, { status, message });
    const id = 'aa'.repeat(32);
    await ask({ kind: 'repaired' });
    await ask({ kind: 'fetch', ids: Array.from({ length: 64 }, () => id) });
    await ask({ kind: 'push', records: Array.from({ length: 10 }, () => new Uint8Array(100)) });
    await ask({ kind: 'push', records: [new Uint8Array(120_000)] });
    await ask({ kind: 'marks', after: '' });
    await asker.mail.registriesOf(asked.account, 0);
    expect(asked.paced).toEqual([1, 65, 11, 11, 51, 50]);
  });

  it('is not answered while the store takes no writes: another instance may have taken over', async () => {
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    let isFenced = false;
    const b = await member(network, 2, { mayServe: () => !isFenced });
    for (const one of [a, b]) await one.advance(60);
    expect((await a.mail.registriesOf(b.account, 0)).log.upTo).toBe(60);
    isFenced = true;
    await expect(a.mail.registriesOf(b.account, 0)).rejects.toThrow('RING_NOT_READY');
  });
});

describe('the memory of a member', () => {
  it('has the registries after a restart, and none of a ring with other constants', async () => {
    const store = new MemoryStore();
    const network = new Map<string, RingMail>();
    const a = await member(network, 1);
    await a.advance(60);
    const first = await RingState.open(store, constants);
    await first.saveLog(a.state.log, 0);
    await first.saveServed({ view: 30, complete: 30, anchor: 'ab', storeGeneration: 1 });
    const again = await RingState.open(store, constants);
    expect(again.log.upTo).toBe(60);
    expect(again.log.contradicts(a.state.log)).toBe(false);
    expect(again.served?.complete).toBe(30);
    const other = await RingState.open(store, { ...constants, replicas: 4 });
    expect(other.log.upTo).toBe(0);
    expect(other.served).toBeUndefined();
  });
});
