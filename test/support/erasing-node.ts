import { KeyErasure } from '../../src/boot/heal/key-erasure.ts';
import { AccountHold } from '../../src/boot/node/account-hold.ts';
import { OlderGenerations } from '../../src/boot/node/older-generations.ts';
import type { OpenNode } from '../../src/boot/node/open-node.ts';
import { RollbackAcceptance } from '../../src/boot/node/rollback-acceptance.ts';
import type { ServerVetter } from '../../src/boot/obtain/vet-server.ts';
import type { HeldLineage, PeerRecord } from '../../src/boot/peer/held-keys.ts';
import type { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../src/boot/peer/peer-failure.ts';
import { equalBytes } from '../../src/bytes/concat.ts';
import { AccountId, InstanceId, type SlotId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { ChainSnapshot } from '../../src/chain/chain-view.ts';
import type { Generation } from '../../src/keyslots/keyslot-file.ts';
import type { Incarnation } from '../../src/lineage/incarnation.ts';
import type { LineageUpdate } from '../../src/protocol/lineage-messages.ts';
import type { LineageState } from '../../src/protocol/lineage-state.ts';
import { enrol } from './keyslot-fixtures.ts';
import { bootOf, lineageOf, stateOf } from './lineages.ts';
import { MemoryStore } from './memory-store.ts';

export const HOUR_MS = 3_600_000;
export const lineage = lineageOf(1);
const own = AccountId.of(new Uint8Array(32).fill(0xee));
export const serverOf = (byte: number) => AccountId.of(new Uint8Array(32).fill(byte));
export const otherProcess = InstanceId.of(new Uint8Array(16).fill(0xdd));
export const unknown = () => new PeerError({ kind: 'forgot', detail: 'it knows no such lineage' });

type Answer = (update: LineageUpdate, held: HeldLineage) => LineageState | Promise<LineageState>;

/** A node that holds its account and left generation 1 (servers 1 to 3, t = 2) behind. */
export async function nodeWith(
  store = new MemoryStore(),
  inFile: readonly SlotId[] = [],
  { isAccepted = false }: { readonly isAccepted?: boolean | 'once' } = {},
) {
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
      const lineage = await answer(update, held);
      held.observer.observe(lineage);
      return { lineage };
    },
  };
  const vetter = {
    platformOf: ({ account }: PeerRecord) => {
      examined.push(account[0] ?? 0);
      return unproven.has(account[0] ?? 0) ? undefined : 'a platform';
    },
    instanceOf: async ({ account }: PeerRecord) => {
      attested.push(account[0] ?? 0);
      const instance = instances.get(account[0] ?? 0);
      if (instance === undefined) throw new PeerError({ kind: 'unreachable', detail: 'down' });
      return instance;
    },
  };
  const overtaken: Incarnation[] = [];
  /** Those of them that the operator did not accept. */
  const fencedBy: Incarnation[] = [];
  const acceptance = new RollbackAcceptance(true);
  const events: string[] = [];
  const examined: number[] = [];
  const attested: number[] = [];
  const unproven = new Set<number>();
  const clock = {
    atMs: 1_000,
    /** How far the host has set the clock ahead. */
    aheadMs: 0,
    nowMs: () => clock.atMs + clock.aheadMs,
    monotonicMs: () => clock.atMs,
    sleep: () => Promise.resolve(),
  };
  const book = { has: (id: SlotId) => inFile.some((one) => equalBytes(one, id)), slots: () => [] };
  // An erasure asks a node, a client and a vetter for nothing else.
  const node = { older, hold, book, store, identity: { account: own } } as unknown as OpenNode;
  const erasure = new KeyErasure(
    {
      client: client as unknown as PeerClient,
      vetter: vetter as unknown as ServerVetter,
      presentProcess: ({ record }) => vetter.instanceOf(record),
      clock,
      random: (length) => new Uint8Array(length),
      log: (_level, event) => void events.push(event),
      options: { retryMinMs: 10, retryMaxMs: 100 },
      onOvertaken: (by, name) => {
        overtaken.push(by);
        const isCovered = isAccepted === 'once' ? acceptance.coversFormer(name, by) : isAccepted;
        if (!isCovered) fencedBy.push(by);
        return isCovered;
      },
    },
    node,
  );
  /** One look, until all answers are taken. */
  const run = async (
    servers: readonly number[] = [1, 2, 3],
    shown: Readonly<Record<number, readonly SlotId[]>> = {},
    waitMs = HOUR_MS,
    isBacked?: boolean,
  ) => {
    const snapshot = {
      servers: servers.map((byte) => ({ account: serverOf(byte) })),
    } as unknown as ChainSnapshot;
    const byServer = Object.entries(shown).map(
      ([byte, ids]) => [toHex(serverOf(Number(byte))), ids] as const,
    );
    const from = asked.length;
    // No back-off lasts longer.
    clock.atMs += waitMs;
    const shownSlots = { byServer: new Map(byServer), isBacked: isBacked ?? byServer.length > 0 };
    erasure.run(snapshot, shownSlots, new AbortController().signal);
    for (let turn = 0; turn < 60; turn++) await Promise.resolve();
    return asked.slice(from);
  };
  return {
    clock,
    older,
    hold,
    store,
    asked,
    answers,
    instances,
    overtaken,
    fencedBy,
    events,
    examined,
    attested,
    unproven,
    run,
  };
}

/** A server that erases what it is told to erase. */
export const obedient =
  (...slots: readonly SlotId[]): Answer =>
  ({ forget, incarnation }) =>
    stateOf({
      shown: incarnation,
      slots: slots.filter((id) => !forget.some((gone) => equalBytes(gone, id))),
    });
export const leftBehind = async (): Promise<Generation> => (await enrol({ t: 2, n: 3 })).generation;
export const slotAt = ({ slots }: Generation, server: number) => {
  const slot = slots.find((one) => one.server[0] === server);
  if (slot === undefined) throw new Error('no slot');
  return slot;
};
export const left = ({ generations }: OlderGenerations) =>
  generations.flatMap(({ slots }) => slots.map(({ server }) => server[0]));
