import { describe, expect, it } from 'vitest';
import { GenerationMaker } from '../../../src/boot/heal/generation-maker.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import { RollbackAcceptance } from '../../../src/boot/node/rollback-acceptance.ts';
import { RollbackCheck } from '../../../src/boot/node/rollback-check.ts';
import type { Enrolment } from '../../../src/boot/obtain/enrolment.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import type { EnrolledServer } from '../../../src/keyslots/generations.ts';
import type { Generation, KeyslotFile } from '../../../src/keyslots/keyslot-file.ts';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import { serverAt, slotIdAt } from '../../support/checked-slots.ts';
import { enrol, enrolledServer, fileOf, identity } from '../../support/keyslot-fixtures.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const { signal } = new AbortController();
const quorum = { t: 2, n: 3 };
const nobody = { servers: [] } as unknown as ChainSnapshot;
const enrolmentOf = (servers: readonly EnrolledServer[]) =>
  ({ servers, unlinked: [], passedOver: new Map(), failures: new Map() }) as Enrolment;

/** What a test changes of a maker. */
interface Change {
  readonly holds?: boolean;
  readonly file?: KeyslotFile;
  /** Numbers of generations that were left behind. */
  readonly left?: readonly number[];
  readonly isDiskBroken?: boolean;
  readonly minimumThreshold?: number;
}

function scene(change: Change = {}) {
  const { holds = true, file, left = [], isDiskBroken = false, minimumThreshold = 2 } = change;
  const lineage = lineageOf(1);
  const rollback = new RollbackCheck(lineage, [], new RollbackAcceptance(false));
  const last = lineage.incarnation(3, bootOf(4));
  const hold = holds
    ? AccountHold.ofNewLineage(lineage, bootOf(5), 4)
    : new AccountHold(lineage, bootOf(5), last, rollback);
  const added: Generation[] = [];
  const steps: string[] = [];
  const renewed: [number, number][] = [];
  const events: string[] = [];
  const abandoned: number[] = [];
  const forgotten: { server: number; from: Incarnation }[] = [];
  let backOffs = 0;
  const clock = { atMs: 700 };
  const node = {
    hold,
    identity: { account: identity.account },
    storeId: identity.storeId,
    storeKey: undefined,
    book: {
      file,
      newest: file?.generations[0],
      add: async (_of: unknown, generation: Generation) => {
        if (isDiskBroken) throw new Error('the disk failed');
        added.push(generation);
        steps.push('put into the file');
      },
    },
    older: {
      nextNumber: Math.max(0, ...left) + 1,
      make: async () => void steps.push('note'),
    },
    store: {
      head: () => ({ generation: 0, sequence: 1, digest: new Uint8Array(32) }),
      lease: {
        nowMs: () => clock.atMs,
        renewed: (slotId: Uint8Array, atMs: number) => void renewed.push([slotId[0] ?? 0, atMs]),
      },
    },
  };
  const client = {
    forget: async ({ account }: PeerRecord, _held: unknown, from: Incarnation) => {
      forgotten.push({ server: account[0] ?? 0, from });
    },
  };
  const maker = new GenerationMaker(
    {
      tools: { client, random: (length: number) => new Uint8Array(length).fill(1) },
      log: (_level: string, event: string) => void events.push(event),
      options: { bootstrap: false, minimumThreshold },
      pace: { backOff: () => void backOffs++ },
      erasure: { abandon: (server: Uint8Array) => void abandoned.push(server[0] ?? 0) },
      suspected: { taken: () => undefined },
    } as never,
    node as unknown as OpenNode,
  );
  return {
    maker,
    node,
    hold,
    rollback,
    last,
    lineage,
    clock,
    added,
    renewed,
    events,
    abandoned,
    forgotten,
    steps,
    backOffs: () => backOffs,
  };
}

/** A maker for a node with a store key, and three servers that gave a key. */
async function ready(change: Change = {}) {
  const { storeKey } = await enrol(quorum);
  const made = scene(change);
  made.node.storeKey = storeKey as never;
  const servers = [1, 2, 3].map((number) => ({ ...enrolledServer(number), slotId: slotIdAt(number) }));
  return { ...made, enrolment: enrolmentOf(servers) };
}

describe('the quorum of a new generation', () => {
  const servers = (count: number) =>
    ({
      servers: Array.from({ length: count }, (_one, at) => ({
        account: serverAt(at + 1),
        stash: serverAt(at + 1),
        active: true,
        signer: false,
      })),
    }) as unknown as ChainSnapshot;

  it('is none below the minimum threshold: the host could open such a store with one machine', () => {
    expect(scene().maker.quorumOf(servers(3))).toEqual({ t: 2, n: 3 });
    expect(scene({ minimumThreshold: 3 }).maker.quorumOf(servers(3))).toBeUndefined();
    expect(scene({ minimumThreshold: 3 }).maker.quorumOf(servers(4))).toEqual({ t: 3, n: 4 });
    expect(scene().maker.quorumOf(servers(2))).toBeUndefined();
  });
});

describe('an enrolment of a boot that does not hold yet', () => {
  it('ends with it when a newer head was shown meanwhile: its disk is an older one', async () => {
    const { maker, rollback, lineage } = scene({ holds: false });
    rollback.note({ head: lineage.head(lineage.incarnation(9, bootOf(9)), 1, new Uint8Array(32)) });
    const enrolling = maker.enrol(nobody, quorum, { enrolled: [] }, signal);
    await expect(enrolling).rejects.toMatchObject({ code: 'STORE_ROLLED_BACK' });
  });

  it('goes on for one that holds, which is fenced elsewhere', async () => {
    const { maker, hold, lineage } = scene();
    hold.observe(stateOf({ shown: lineage.incarnation(9, bootOf(9)) }));
    expect((await maker.enrol(nobody, quorum, { enrolled: [] }, signal)).servers).toEqual([]);
  });
});

describe('a generation that is put in front', () => {
  it('has a number above that of the file and of all that were left behind: none is used twice', async () => {
    const file = fileOf(await enrol(quorum, { generation: 7 }));
    const numberWith = async (change: Change) => {
      const { maker, added, enrolment } = await ready(change);
      await maker.putInFront(enrolment, quorum, { checked: [] });
      return added[0]?.generation;
    };
    expect(await numberWith({})).toBe(1);
    expect(await numberWith({ file, left: [3] })).toBe(8);
    // The host may have put back an older file.
    expect(await numberWith({ file, left: [12, 9] })).toBe(13);
  });

  it('is noted in the store before the file has it: the host may put back a file without it', async () => {
    const { maker, enrolment, steps } = await ready();
    await maker.putInFront(enrolment, quorum, { checked: [] });
    expect(steps).toEqual(['note', 'put into the file']);
  });

  it('counts for the lease from the time at which its servers were asked, where they were shown the mark', async () => {
    const { maker, clock, renewed, enrolment } = await ready();
    await maker.enrol(nobody, quorum, { enrolled: [] }, signal);
    clock.atMs = 900;
    await maker.putInFront(enrolment, quorum, { checked: [] });
    expect(renewed).toEqual([
      [1, 700],
      [2, 700],
      [3, 700],
    ]);
    const waiting = await ready({ holds: false });
    await waiting.maker.enrol(nobody, quorum, { enrolled: [] }, signal);
    await waiting.maker.putInFront(waiting.enrolment, quorum, { checked: [] });
    expect(waiting.renewed).toEqual([]);
  });

  it('that the disk does not take is tried again later, and its keys stay: it may be in force', async () => {
    const { maker, enrolment, forgotten, backOffs } = await ready({ isDiskBroken: true });
    await expect(maker.putInFront(enrolment, quorum, { checked: [] })).rejects.toThrow('the disk failed');
    expect([forgotten, backOffs()]).toEqual([[], 1]);
  });

  it('says when it has fewer slots than were wanted', async () => {
    const { maker, events } = scene();
    maker.backOff(3, quorum);
    expect(events).toEqual([]);
    maker.backOff(2, quorum);
    expect(events).toEqual(['slots.short']);
  });
});

describe('slots that no generation will have', () => {
  it('are erased at servers that the chain has, on the mark of this boot, or the newest one before it holds', async () => {
    const snapshot = {
      servers: [1, 2].map((number) => ({ account: serverAt(number) })),
    } as unknown as ChainSnapshot;
    for (const holds of [true, false]) {
      const { maker, enrolment, forgotten, abandoned, hold, last } = await ready({ holds });
      maker.forget(enrolment, snapshot);
      const from = holds ? hold.incarnation : last;
      expect(forgotten).toEqual([
        { server: 1, from },
        { server: 2, from },
      ]);
      expect(abandoned).toEqual([1, 2, 3]);
      for (const { recoveryToken } of enrolment.servers)
        expect(() => recoveryToken.reveal()).toThrow('wiped');
    }
  });
});
