import { describe, expect, it } from 'vitest';
import { KeyErasure } from '../../../src/boot/heal/key-erasure.ts';
import { AccountHold, LAST_NUMBER } from '../../../src/boot/node/account-hold.ts';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import type { ServerVetter } from '../../../src/boot/obtain/vet-server.ts';
import type { HeldLineage, PeerClient, PeerRecord } from '../../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import { equalBytes } from '../../../src/bytes/concat.ts';
import { AccountId, InstanceId, type SlotId } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import type { Generation } from '../../../src/keyslots/keyslot-file.ts';
import type { Incarnation } from '../../../src/lineage/incarnation.ts';
import { Lineage } from '../../../src/lineage/lineage.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { LineageUpdate } from '../../../src/protocol/lineage-messages.ts';
import type { LineageState } from '../../../src/protocol/lineage-state.ts';
import { enrol, enrolledServer } from '../../support/keyslot-fixtures.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const FORMER = 6;
const lineage = lineageOf(1);
const own = AccountId.of(new Uint8Array(32).fill(0xee));
const serverOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
const otherProcess = InstanceId.of(new Uint8Array(16).fill(0xdd));
const unknown = () => new PeerError({ kind: 'forgot', detail: 'it knows no such lineage' });

type Answer = (update: LineageUpdate, held: HeldLineage) => LineageState;

/** A node that holds its account and left generation 1 (servers 1 to 3, t = 2) behind. */
async function nodeWith(store = new MemoryStore(), inFile: readonly SlotId[] = []) {
  const older = await OlderGenerations.open(store, lineage.secret);
  const hold = AccountHold.ofNewLineage(lineage, bootOf(5), 4);
  const asked: { readonly server: number; readonly update: LineageUpdate; readonly key: string }[] = [];
  const answers = new Map<number, Answer>();
  const instances = new Map<number, InstanceId>();
  const client = {
    lineageUpdate: async (peer: PeerRecord, held: HeldLineage, update: LineageUpdate) => {
      const server = peer.account[0] ?? 0;
      asked.push({ server, update, key: toHex(held.key.reveal()) });
      const answer = answers.get(server);
      if (answer === undefined) throw new PeerError({ kind: 'unreachable', detail: 'down' });
      return { lineage: answer(update, held) };
    },
  };
  const vetter = {
    platformOf: () => 'a platform',
    instanceOf: async ({ account }: PeerRecord) => {
      const instance = instances.get(account[0] ?? 0);
      if (instance === undefined) throw new PeerError({ kind: 'unreachable', detail: 'down' });
      return instance;
    },
  };
  const overtaken: Incarnation[] = [];
  const book = { has: (id: SlotId) => inFile.some((one) => equalBytes(one, id)), slots: () => [] };
  // An erasure asks a node, a client and a vetter for nothing else.
  const node = { older, hold, book, store, identity: { account: own } } as unknown as OpenNode;
  const erasure = new KeyErasure(
    {
      client: client as unknown as PeerClient,
      vetter: vetter as unknown as ServerVetter,
      log: silentLog,
      onOvertaken: (by) => overtaken.push(by),
    },
    node,
  );
  /** One look, until all answers are taken. */
  const run = async (
    servers: readonly number[] = [1, 2, 3],
    shown: Readonly<Record<number, readonly SlotId[]>> = {},
  ) => {
    const snapshot = {
      servers: servers.map((byte) => ({ account: serverOf(byte) })),
    } as unknown as ChainSnapshot;
    const byServer = Object.entries(shown).map(
      ([byte, ids]) => [toHex(serverOf(Number(byte))), ids] as const,
    );
    const from = asked.length;
    erasure.run(snapshot, new Map(byServer), new AbortController().signal);
    for (let turn = 0; turn < 60; turn++) await Promise.resolve();
    return asked.slice(from);
  };
  return { older, hold, store, asked, answers, instances, overtaken, run };
}

/** A server that erases what it is told to erase. */
const obedient =
  (...slots: readonly SlotId[]): Answer =>
  ({ forget, incarnation }) =>
    stateOf({
      shown: incarnation,
      slots: slots.filter((id) => !forget.some((gone) => equalBytes(gone, id))),
    });
const leftBehind = async (): Promise<Generation> => (await enrol({ t: 2, n: 3 })).generation;
const slotAt = ({ slots }: Generation, server: number) => {
  const slot = slots.find((one) => one.server[0] === server);
  if (slot === undefined) throw new Error('no slot');
  return slot;
};
const left = ({ generations }: OlderGenerations) =>
  generations.flatMap(({ slots }) => slots.map(({ server }) => server[0]));

describe('slots of a generation that was left behind', () => {
  it('are asked for at every look until their server answers, with the mark and the newest head', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    for (const _ of [1, 2]) {
      const looks = await node.run();
      for (const server of [1, 2, 3]) {
        const one = looks.find((ask) => ask.server === server && ask.update.forget.length > 0);
        expect(one?.update).toEqual({
          incarnation: node.hold.incarnation,
          head: node.hold.headOf(node.store.head()),
          forget: [slotAt(old, server).slotId],
          close: undefined,
        });
        expect(one?.key).toBe(toHex(lineage.keyOf(serverOf(server)).reveal()));
      }
    }
    expect(left(node.older)).toEqual([1, 2, 3]);
    node.answers.set(2, obedient(slotAt(old, 2).slotId));
    await node.run();
    expect(left(node.older)).toEqual([1, 3]);
    const later = await node.run();
    expect(later.filter(({ server, update }) => server === 2 && update.forget.length > 0)).toEqual([]);
  });

  it('are asked for after a restart of the node, too', async () => {
    const store = new MemoryStore();
    const old = await leftBehind();
    await (await nodeWith(store)).older.leave([old]);
    const again = await nodeWith(store);
    again.answers.set(1, obedient(slotAt(old, 1).slotId));
    await again.run();
    expect(left(again.older)).toEqual([2, 3]);
    expect(left((await nodeWith(store)).older)).toEqual([2, 3]);
  });

  it('stay open when the answer still shows them', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    node.answers.set(1, ({ incarnation }) => stateOf({ shown: incarnation, slots: [slotAt(old, 1).slotId] }));
    await node.run();
    expect(left(node.older)).toEqual([1, 2, 3]);
  });

  it('are never erased while they are in the keyslot file: the host may have put the older file back', async () => {
    const old = await leftBehind();
    const node = await nodeWith(
      new MemoryStore(),
      old.slots.map(({ slotId }) => slotId),
    );
    await node.older.leave([old]);
    for (const server of [1, 2, 3]) node.answers.set(server, obedient(slotAt(old, server).slotId));
    const ids = Object.fromEntries([1, 2, 3].map((server) => [server, [slotAt(old, server).slotId]]));
    for (const _ of [1, 2, 3]) await node.run([1, 2, 3], ids);
    expect(node.asked.flatMap(({ update }) => update.forget)).toEqual([]);
    expect(left(node.older)).toEqual([1, 2, 3]);
  });

  it('are lost when another process of their server is attested; "I know nothing" alone proves nothing', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    for (const server of [1, 2, 3]) {
      node.answers.set(server, () => {
        throw unknown();
      });
    }
    node.instances.set(1, slotAt(old, 1).instanceId);
    node.instances.set(2, otherProcess);
    await node.run();
    // The first is still the process that made the slot, and nothing was proved of the third.
    expect(left(node.older)).toEqual([1, 3]);
  });

  it('are lost when their server left the chain', async () => {
    const node = await nodeWith();
    await node.older.leave([await leftBehind()]);
    await node.run([1, 3]);
    expect(left(node.older)).toEqual([1, 3]);
  });

  it('one server that hangs holds up no other, and has one request at a time', async () => {
    const node = await nodeWith();
    const old = await leftBehind();
    await node.older.leave([old]);
    const hang = new Promise<never>(() => undefined);
    // A promise in place of the answer: the request never ends.
    node.answers.set(1, () => hang as unknown as LineageState);
    node.answers.set(2, obedient(slotAt(old, 2).slotId));
    await node.run();
    expect(left(node.older)).toEqual([1, 3]);
  });
});

describe('slots of the lineage that are in no generation', () => {
  it('are erased where they are shown, but not those of the keyslot file', async () => {
    const [kept, stray] = [enrolledServer(1).slotId, enrolledServer(1).slotId];
    const node = await nodeWith(new MemoryStore(), [kept]);
    const asked = await node.run([1, 2], { 1: [kept, stray] });
    expect(asked.find(({ server }) => server === 1)?.update.forget).toEqual([stray]);
  });

  it('are left alone before all slots of this node live', async () => {
    const stray = enrolledServer(1).slotId;
    const node = await nodeWith();
    node.answers.set(1, obedient(stray));
    for (const _ of [1, 2, 3]) await node.run([1]);
    expect(node.asked.flatMap(({ update }) => update.forget)).toEqual([]);
  });

  it('are found at servers that have no slot of this node: each is visited in turn', async () => {
    const [kept, stray] = [enrolledServer(9).slotId, enrolledServer(2).slotId];
    const node = await nodeWith(new MemoryStore(), [kept]);
    node.answers.set(2, obedient(stray));
    for (const _ of [1, 2, 3]) await node.run([1, 2], { 9: [kept] });
    const asked = node.asked.filter(({ server }) => server === 2);
    expect(asked[0]?.update).toMatchObject({ forget: [], head: { incarnation: node.hold.incarnation } });
    expect(asked.flatMap(({ update }) => update.forget)).toContainEqual(stray);
    expect(node.asked.some(({ server }) => server === 1)).toBe(true);
  });
});

describe('the lineage of a former store key', () => {
  const former = lineageOf(FORMER);
  const [last, from] = [LAST_NUMBER, 3].map((number) => former.incarnation(number, bootOf(4)));
  const instanceId = InstanceId.of(new Uint8Array(16).fill(0x11));
  const secret = () => new SecretBytes(new Uint8Array(32).fill(FORMER));
  if (last === undefined || from === undefined) throw new Error('no boots');

  /** A node that changed its key as boot 3 of the former lineage, which server 1 knows. */
  async function changed(ownSecret = secret()) {
    const node = await nodeWith();
    const servers = [{ server: serverOf(1), instanceId }];
    await node.older.leaveLineage({ secret: ownSecret, last: { number: 3, boot: bootOf(4) }, servers });
    const closings = async () => (await node.run([1])).filter(({ update }) => update.close !== undefined);
    /** What server 1 answers to a request to close; nothing of the present lineage. */
    const answer = (state: () => LineageState) =>
      node.answers.set(1, ({ close }) => {
        if (close === undefined) throw unknown();
        return state();
      });
    return { ...node, closings, answer };
  }

  it('is to be closed by a last mark above all others, on the condition of the ordinary mark', async () => {
    const node = await changed();
    for (const _ of [1, 2]) {
      const [one] = await node.closings();
      expect(one?.key).toBe(toHex(new Lineage(secret()).keyOf(serverOf(1)).reveal()));
      expect(one?.update).toMatchObject({ incarnation: from, head: undefined, forget: [], close: { last } });
      const head = one?.update.close?.head;
      expect(head && former.isOwnHead({ ...head, incarnation: last })).toBe(true);
    }
    node.answer(() => stateOf({ shown: last, closed: true }));
    await node.closings();
    expect(node.older.lineages).toEqual([]);
  });

  it('is not closed because a server says so: only the last mark proves it', async () => {
    const node = await changed();
    for (const shown of [from, { ...last, bootId: last.bootId.map((byte) => byte ^ 1) }]) {
      node.answer(() => stateOf({ shown, closed: true }));
      await node.closings();
      expect(node.older.lineages).toHaveLength(1);
    }
    expect(node.overtaken).toEqual([]);
  });

  it('with a newer instance in it ends this one, which did not know of it', async () => {
    const node = await changed();
    const newer = former.incarnation(4, bootOf(9));
    node.answer(() => stateOf({ shown: newer }));
    await node.closings();
    expect(node.overtaken).toEqual([newer]);
    expect(node.older.lineages).toHaveLength(1);
  });

  it('is left alone while the store opens under it: the key was not changed', async () => {
    const node = await changed(new SecretBytes(lineage.secret.reveal()));
    expect(await node.closings()).toEqual([]);
  });

  it('is lost, and so closed, at a server of which another process is attested, or that left the chain', async () => {
    const node = await changed();
    node.answer(() => {
      throw unknown();
    });
    node.instances.set(1, instanceId);
    await node.closings();
    expect(node.older.lineages).toHaveLength(1);
    node.instances.set(1, otherProcess);
    await node.closings();
    expect(node.older.lineages).toEqual([]);
    const gone = await changed();
    await gone.run([2]);
    expect(gone.older.lineages).toEqual([]);
  });
});
