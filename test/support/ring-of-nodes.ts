import { expect } from 'vitest';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { RingMember } from '../../src/ring/placement/member.ts';
import { Placement } from '../../src/ring/placement/placement.ts';
import type { RecordFormat } from '../../src/ring/replication/entry.ts';
import { TOO_OLD_MS } from '../../src/ring/replication/holdings.ts';
import type { FromNode, RingReply, RingRequest } from '../../src/ring/replication/messages.ts';
import { RingNode } from '../../src/ring/replication/ring-node.ts';
import { Dice } from './dice.ts';
import { randomMembers } from './ring-members.ts';
import { MemoryMarks, MemoryReplicaStore, ringFormat, ringRecord, versionOf } from './ring-records.ts';

export const NOW = 1_800_000_000_000;
const FAR = NOW + 10 * TOO_OLD_MS;
/** An id that all members of a ring of four hold. */
export const ID = RecordId.of(new Uint8Array(32).fill(7));
export const OTHER_ID = RecordId.of(new Uint8Array(32).fill(8));
export const name = ({ account }: RingMember): string => toHex(account);
export const record = (version: number, id: Uint8Array = ID) => ringRecord(id, version, FAR);

/** What a member answers in place of what it would; `undefined` for what it would, and an error for no answer. */
export type Lie = (request: RingRequest) => RingReply | Error | undefined;

export interface Peer {
  readonly member: RingMember;
  readonly store: MemoryReplicaStore;
  readonly node: RingNode;
  lie: Lie;
  /** What it says of itself, in place of what is true. */
  says: Partial<FromNode<RingReply>['status']>;
  /** What it was asked by others. */
  readonly asked: RingRequest[];
}

/** A ring of four nodes that keep all records; the first one is looked at. */
export async function ringOfNodes(
  options: { readonly complete?: number; readonly size?: number; readonly format?: RecordFormat } = {},
) {
  const { complete = 1, size = 4, format = ringFormat } = options;
  const members = randomMembers(new Dice(23), size);
  const view = { block: 1, timestampMs: NOW, placement: new Placement(members) };
  const time = { elapsedMs: 0 };
  const peers: Peer[] = [];
  const answerOf = async (from: RingMember, to: RingMember, request: FromNode<RingRequest>) => {
    const peer = peers.find(({ member }) => name(member) === name(to)) ?? expect.fail('no such member');
    peer.asked.push(request.message);
    const lie = peer.lie(request.message);
    if (lie instanceof Error) throw lie;
    const answer = await peer.node.answer(name(from), request);
    return { status: { ...answer.status, ...peer.says }, message: lie ?? answer.message };
  };
  for (const member of members) {
    const store = new MemoryReplicaStore();
    const node = await RingNode.open({
      own: member,
      view,
      complete: peers.length === 0 ? complete : 1,
      format,
      store,
      marks: new MemoryMarks(),
      transport: { ask: (to, request) => answerOf(member, to, request) },
      elapsedMs: () => time.elapsedMs,
    });
    peers.push({ member, store, node, asked: [], says: {}, lie: () => undefined });
  }
  const [own = expect.fail('no node'), ...others] = peers;
  /** All are fresh. */
  const ready = async () => {
    for (const { node } of peers) await node.repair();
    for (const { asked } of peers) asked.length = 0;
  };
  const lie = (...lies: readonly Lie[]) => {
    for (const [at, each] of lies.entries()) (others[at] ?? expect.fail('no such member')).lie = each;
  };
  const put = (peer: Peer | undefined, bytes: Uint8Array) =>
    peer?.node.answer(name(peer.member), {
      status: peer.node.status(),
      message: { kind: 'push', records: [bytes] },
    });
  const has = ({ store }: Peer) => [...store.records.values()].map((bytes) => versionOf({ bytes }));
  return { members, view, time, node: own.node, own, others, peers, ready, lie, put, has };
}
export const silent: Lie = () => new Error('no answer');
export const honest: Lie = () => undefined;
export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: unknown) => Reflect.get(Object(error), 'code') ?? String(error),
  );
