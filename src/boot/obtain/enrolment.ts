import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { SlotId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import type { RandomSource } from '../../crypto/random.ts';
import { chooseServers, eligibleServers, type SkipReason } from '../../keyslots/choose-servers.ts';
import type { EnrolledServer } from '../../keyslots/generations.ts';
import type { Quorum } from '../../keyslots/threshold.ts';
import type { Head } from '../../lineage/head.ts';
import type { Incarnation } from '../../lineage/incarnation.ts';
import type { Lineage } from '../../lineage/lineage.ts';
import type { LineageObserver } from '../peer/held-keys.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { failureOf, PeerError, type PeerFailure } from '../peer/peer-failure.ts';
import { type RoundTools, runKeyRound } from './key-round.ts';
import type { ServerVetter } from './vet-server.ts';

/** The input of an enrolment. */
export interface EnrolmentInput {
  readonly account: AccountId;
  readonly snapshot: ChainSnapshot;
  readonly quorum: Quorum;
  /** Servers that hold a live slot now: asked first, so that a better-ranked newcomer displaces none of them. */
  readonly enrolled: readonly AccountId[];
  /** Servers that are asked only when the others do not suffice. */
  readonly last?: readonly AccountId[];
  /** Servers that are not asked at all: they drain. */
  readonly draining?: readonly AccountId[];
  /** Links every new slot to the lineage; a slot that was not linked does not count. */
  readonly link: SlotLink;
  /** With fewer servers than this the result would be thrown away, so no key is asked for. */
  readonly worthwhile: number;
  readonly signal: AbortSignal;
}

/** How new slots are linked to the lineage of a store. */
export interface SlotLink {
  readonly lineage: Lineage;
  /** Whether the servers keep the slots beyond their first hour; else the caller confirms them later. */
  readonly confirm: boolean;
  /** The incarnation that the link shows. */
  readonly incarnation: Incarnation;
  /** Deposited with the link; none before the boot holds. */
  readonly head: () => Head | undefined;
  readonly observer: LineageObserver;
}

/** The parts that an enrolment uses. */
export interface EnrolmentTools extends RoundTools {
  readonly vetter: ServerVetter;
  readonly random: RandomSource;
}

/** The servers that gave a new key, at most n, and the reasons of the servers that did not. */
export interface Enrolment {
  readonly servers: readonly EnrolledServer[];
  /** Servers that gave a key and did not link it; the seal of the grant proves which process that was. */
  readonly unlinked: readonly Pick<EnrolledServer, 'server' | 'instanceId' | 'slotId'>[];
  /** How many servers were not asked, by reason: too many slots would be on one platform or stash, or they drain. */
  readonly passedOver: ReadonlyMap<SkipReason | 'draining', number>;
  readonly failures: ReadonlyMap<string, { readonly record: ServerRecord; readonly failure: PeerFailure }>;
}

/**
 * Walks down the ranking until n servers have given a fresh key each, or no server is left to ask. Every server is vetted
 * before it is asked; every key is under a slot id of its own.
 */
export async function enrol(tools: EnrolmentTools, input: EnrolmentInput): Promise<Enrolment> {
  const { account, snapshot, quorum, signal } = input;
  const unlinked: Enrolment['unlinked'][number][] = [];
  const isIn = (servers: readonly AccountId[] | undefined, record: ServerRecord) =>
    servers?.some((server) => equalBytes(server, record.account)) ?? false;
  const isLast = (record: ServerRecord) => isIn(input.last, record);
  const all = eligibleServers(snapshot, { account });
  const ranked = all.filter((record) => !isIn(input.draining, record));
  const eligible = [...ranked.filter((record) => !isLast(record)), ...ranked.filter(isLast)];
  const granted = new Map<string, { readonly record: ServerRecord; readonly enrolled: EnrolledServer }>();
  const failures = new Map<string, { readonly record: ServerRecord; readonly failure: PeerFailure }>();
  const fail = (record: ServerRecord, failure: PeerFailure) =>
    failures.set(toHex(record.account), { record, failure });
  const choose = () =>
    chooseServers({
      eligible,
      quorum,
      enrolled: [...[...granted.values()].map(({ record }) => record.account), ...input.enrolled],
      isUsable: ({ account: server }) => !failures.has(toHex(server)),
      platformOf: (record) => tools.vetter.platformOf(record),
    });
  let asked = choose().chosen.filter(({ account: server }) => !granted.has(toHex(server)));
  while (asked.length > 0 && !signal.aborted) {
    const vetted = await vetAll(tools.vetter, asked, snapshot, signal, fail);
    if (eligible.length - failures.size < input.worthwhile) break;
    const fresh: { readonly record: ServerRecord; readonly enrolled: EnrolledServer }[] = [];
    await askForKeys(tools, account, vetted, signal, fail, (record, enrolled) =>
      fresh.push({ record, enrolled }),
    );
    const linked = await linkAll(tools, input, fresh, fail);
    for (const one of linked) granted.set(toHex(one.record.account), one);
    unlinked.push(...fresh.filter((one) => !linked.includes(one)).map(({ enrolled }) => enrolled));
    // A server that neither granted nor failed was cut off by the signal.
    asked = choose().chosen.filter(({ account: server }) => !granted.has(toHex(server)));
  }
  const { chosen, skipped } = choose();
  const passedOver = new Map<SkipReason | 'draining', number>();
  if (ranked.length < all.length) passedOver.set('draining', all.length - ranked.length);
  for (const { reason } of skipped) passedOver.set(reason, (passedOver.get(reason) ?? 0) + 1);
  return {
    servers: chosen.flatMap(({ account: server }) => granted.get(toHex(server))?.enrolled ?? []),
    unlinked,
    passedOver,
    failures,
  };
}

async function vetAll(
  vetter: ServerVetter,
  records: readonly ServerRecord[],
  snapshot: ChainSnapshot,
  signal: AbortSignal,
  fail: (record: ServerRecord, failure: PeerFailure) => void,
): Promise<readonly ServerRecord[]> {
  const verdicts = await Promise.all(
    records.map(async (record) => {
      try {
        await vetter.vet(record, snapshot, signal);
        return [record];
      } catch (error) {
        fail(record, failureOf(error));
        return [];
      }
    }),
  );
  return verdicts.flat();
}

async function askForKeys(
  tools: EnrolmentTools,
  account: AccountId,
  records: readonly ServerRecord[],
  signal: AbortSignal,
  fail: (record: ServerRecord, failure: PeerFailure) => void,
  grant: (record: ServerRecord, enrolled: EnrolledServer) => void,
): Promise<void> {
  if (records.length === 0) return;
  const bySlot = new Map(records.map((record) => [SlotId.of(tools.random(SlotId.byteLength)), record]));
  await runKeyRound(tools, {
    account,
    intent: 'create',
    targets: [...bySlot].map(([slotId, peer]) => ({ peer, slotId })),
    quorum: records.length,
    signal,
    onResult: ({ slotId }, result) => {
      const record = bySlot.get(slotId);
      if (record === undefined) return;
      if (!result.ok) {
        fail(record, result.failure);
        return;
      }
      const { grant: key, instanceId } = result.answer;
      if (key.recoveryToken === undefined || !key.created) {
        key.key.wipe();
        fail(record, { kind: 'garbage', detail: 'it gave no fresh key with a recovery token' });
        return;
      }
      grant(record, {
        server: record.account,
        slotId,
        keyId: key.keyId,
        key: key.key,
        recoveryToken: key.recoveryToken,
        instanceId,
      });
    },
  });
}

/** Links new slots. The keys of those that were not are erased, here and at their servers. */
async function linkAll<Granted extends { readonly record: ServerRecord; readonly enrolled: EnrolledServer }>(
  tools: EnrolmentTools,
  { account, link, signal }: EnrolmentInput,
  granted: readonly Granted[],
  fail: (record: ServerRecord, failure: PeerFailure) => void,
): Promise<readonly Granted[]> {
  const linked = await Promise.all(
    granted.map(async (one) => {
      try {
        await linkSlot(tools.client, account, link, one.record, one.enrolled, signal);
        return [one];
      } catch (error) {
        const { enrolled, record } = one;
        fail(record, failureOf(error));
        enrolled.recoveryToken.wipe();
        const slot = { account, slotId: enrolled.slotId, key: enrolled.key, observer: link.observer };
        // What is not reached ages away: it was not confirmed.
        tools.client
          .forget(record, slot, link.incarnation)
          .catch(() => undefined)
          .finally(() => enrolled.key.wipe());
        return [];
      }
    }),
  );
  return linked.flat();
}

async function linkSlot(
  client: PeerClient,
  account: AccountId,
  { lineage, confirm, incarnation, head, observer }: SlotLink,
  record: ServerRecord,
  { slotId, key, instanceId }: EnrolledServer,
  signal: AbortSignal,
): Promise<void> {
  const lineageKey = lineage.keyOf(record.account);
  try {
    const status = { confirm, incarnation, head: head(), report: undefined };
    const held = { account, slotId, key, observer };
    const state = await client.keyStatus(record, held, status, lineageKey, signal);
    if (!state.lineage?.slots.some((one) => equalBytes(one, slotId))) {
      throw new PeerError({ kind: 'refused', code: 'SLOT_UNLINKED', detail: 'it did not link the slot' });
    }
    if (!equalBytes(state.instanceId, instanceId)) {
      throw new PeerError({ kind: 'garbage', detail: 'it proves the key as another process' });
    }
  } finally {
    lineageKey.wipe();
  }
}

/** Why an attempt got fewer than n slots, such as `4 of 5 servers gave a key; passed over: 2 platform-limit`. */
export function shortfall({ servers, passedOver }: Enrolment, { n }: Quorum): string {
  const reasons = [...passedOver].map(([reason, count]) => `${count} ${reason}`);
  const others = reasons.length === 0 ? '' : `; passed over: ${reasons.join(', ')}`;
  return `${servers.length} of ${n} servers gave a key${others}`;
}
