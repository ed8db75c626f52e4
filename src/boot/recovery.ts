import { equalBytes } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { ChainSnapshot } from '../chain/chain-view.ts';
import type { Generation, KeyslotFile, Slot } from '../keyslots/keyslot-file.ts';
import { RecoveryAttempt, type SlotVerdict } from '../keyslots/recovery-attempt.ts';
import type { Log } from '../observe/log.ts';
import { compareHeads, type Head } from '../protocol/mac-routes.ts';
import type { KeyGrant } from '../protocol/sealed-key.ts';
import { agreedTime } from '../trust/time.ts';
import { type RoundTarget, type RoundTools, runKeyRound } from './key-round.ts';
import type { SlotReport } from './node-state.ts';
import { OwnMarks } from './own-marks.ts';
import { describeFailure, type PeerFailure } from './peer-failure.ts';

/** What a recovery starts from. */
export interface RecoveryInput {
  readonly file: KeyslotFile;
  readonly snapshot: ChainSnapshot;
  /** From the trust section. */
  readonly minimumThreshold: number;
  readonly clockToleranceMs: number;
  readonly signal: AbortSignal;
}

/** The store key, and what t servers said about the store. */
export interface RecoveredKey {
  readonly storeKey: SecretBytes;
  readonly generation: number;
  /** Server keys by slot id (hex), of every slot that opened. */
  readonly serverKeys: ReadonlyMap<string, SecretBytes>;
  /** Largest incarnation number that a server proved to have been claimed by this node; 0 before the first. */
  readonly incarnation: number;
  /** Newest log head that this node deposited, or none. */
  readonly head: Head | undefined;
  /** Time on which t servers agree, in milliseconds; `undefined` when they do not. */
  readonly timeMs: number | undefined;
  readonly slots: readonly SlotReport[];
}

/** How far a recovery got. */
export type RecoveryOutcome =
  | { readonly ok: true; readonly recovered: RecoveredKey }
  | {
      readonly ok: false;
      readonly have: number;
      readonly need: number;
      readonly slots: readonly SlotReport[];
    };

/**
 * One attempt to get the store key back: asks every server of the keyslot file that has a record on the chain, at its
 * present address, the newer generation first. Ends as soon as t good slots agree; the rest costs nothing.
 */
export async function recoverStoreKey(
  tools: RoundTools & { readonly log: Log },
  input: RecoveryInput,
): Promise<RecoveryOutcome> {
  const attempt = new RecoveryAttempt(input.file, input.minimumThreshold);
  const harvest = new Harvest(attempt, tools.log);
  try {
    for (const generation of input.file.generations) {
      const recovered = await recoverGeneration(tools, input, generation, attempt, harvest);
      if (recovered !== undefined) return { ok: true, recovered };
    }
    return { ok: false, ...bestProgress(attempt), slots: harvest.reports(input) };
  } finally {
    attempt.wipe();
  }
}

async function recoverGeneration(
  tools: RoundTools,
  input: RecoveryInput,
  generation: Generation,
  attempt: RecoveryAttempt,
  harvest: Harvest,
): Promise<RecoveredKey | undefined> {
  const targets = targetsOf(generation, input.snapshot, harvest);
  const enough = new AbortController();
  const stop = () => enough.abort();
  input.signal.addEventListener('abort', stop, { once: true });
  // A signal that was aborted before tells nobody any more.
  if (input.signal.aborted) stop();
  let found: RecoveredKey | undefined;
  const openings: Promise<void>[] = [];
  const round = runKeyRound(tools, {
    account: input.file.account,
    intent: 'recover',
    targets,
    quorum: generation.t,
    signal: enough.signal,
    onResult: (target, result) => {
      // Once the store key is there, what is still on its way no longer counts as a failure.
      if (found !== undefined) return;
      harvest.take(target, result);
      if (!result.ok) return;
      openings.push(
        attempt.tryOpen().then((opened) => {
          if (opened === undefined || found !== undefined) return;
          found = harvest.finish(opened, input);
          enough.abort();
        }),
      );
    },
  });
  const opened = new Promise<void>((resolve) => {
    enough.signal.addEventListener('abort', () => resolve(), { once: true });
    if (enough.signal.aborted) resolve();
  });
  await Promise.race([round, opened]);
  await Promise.all(openings);
  input.signal.removeEventListener('abort', stop);
  // Losers of the race may still be on the wire; their results are ignored above.
  round.catch(() => undefined);
  return found;
}

function targetsOf(
  generation: Generation,
  snapshot: ChainSnapshot,
  harvest: Harvest,
): readonly RoundTarget[] {
  return generation.slots.flatMap((slot) => {
    const peer = snapshot.servers.find(({ account }) => equalBytes(account, slot.server));
    if (peer !== undefined) return [{ peer, slotId: slot.slotId, recoveryToken: slot.recoveryToken }];
    harvest.note(slot, { kind: 'departed', detail: 'it has no record on the chain' });
    return [];
  });
}

function bestProgress(attempt: RecoveryAttempt): { readonly have: number; readonly need: number } {
  const [best] = [...attempt.progress].sort((a, b) => a.t - a.opened - (b.t - b.opened));
  return { have: best?.opened ?? 0, need: best?.t ?? 1 };
}

/** Collects what the servers gave. */
class Harvest {
  readonly #attempt: RecoveryAttempt;
  readonly #log: Log;
  readonly #grants = new Map<string, KeyGrant>();
  readonly #standings = new Map<string, SlotReport['standing']>();

  constructor(attempt: RecoveryAttempt, log: Log) {
    this.#attempt = attempt;
    this.#log = log;
  }

  take(target: RoundTarget, result: Parameters<Parameters<typeof runKeyRound>[1]['onResult']>[1]): void {
    const { slotId, peer } = target;
    if (!result.ok) {
      this.#fail(toHex(slotId), encodeSs58(peer.account), result.failure);
      return;
    }
    const { grant } = result.answer;
    const verdict = this.#attempt.offer({ server: peer.account, slotId, keyId: grant.keyId, key: grant.key });
    if (verdict === 'opened' || verdict === 'known') {
      this.#grants.set(toHex(slotId), grant);
      this.#standings.set(toHex(slotId), 'live');
      return;
    }
    this.#fail(toHex(slotId), encodeSs58(peer.account), { kind: 'lied', detail: verdictText[verdict] });
  }

  note(slot: Slot, failure: PeerFailure): void {
    this.#fail(toHex(slot.slotId), encodeSs58(slot.server), failure);
  }

  finish(
    opened: NonNullable<Awaited<ReturnType<RecoveryAttempt['tryOpen']>>>,
    input: RecoveryInput,
  ): RecoveredKey {
    const generation = input.file.generations.find((candidate) => candidate.generation === opened.generation);
    for (const slot of generation?.slots ?? []) {
      if (!opened.outsiders.some((server) => equalBytes(server, slot.server))) continue;
      this.note(slot, { kind: 'lied', detail: 'its share belongs to another store key' });
      this.#grants.delete(toHex(slot.slotId));
    }
    const grants = [...this.#grants.values()];
    const marks = new OwnMarks(opened.storeKey);
    const heads = grants.flatMap(({ head }) => (head !== undefined && marks.isOwnHead(head) ? [head] : []));
    const incarnations = grants.filter(({ incarnation }) => marks.isOwnIncarnation(incarnation));
    return {
      storeKey: opened.storeKey,
      generation: opened.generation,
      serverKeys: new Map([...this.#grants].map(([slotId, { key }]) => [slotId, key])),
      incarnation: Math.max(0, ...incarnations.map(({ incarnation }) => incarnation.number)),
      head: heads.reduce<Head | undefined>(newerHead, undefined),
      timeMs: agreedTime(
        grants.map(({ serverTimeMs }) => serverTimeMs),
        Math.min(generation?.t ?? 1, grants.length),
        input.clockToleranceMs,
      ),
      slots: this.reports(input),
    };
  }

  reports({ file, snapshot }: RecoveryInput): readonly SlotReport[] {
    return file.generations.flatMap(({ slots }) =>
      slots.map(({ server, slotId }) => ({
        server,
        endpoint: snapshot.servers.find(({ account }) => equalBytes(account, server))?.endpoint,
        standing: this.#standings.get(toHex(slotId)) ?? 'asked',
      })),
    );
  }

  #fail(slotId: string, server: string, failure: PeerFailure): void {
    this.#standings.set(slotId, failure);
    this.#log('warn', 'slot.failed', { server, reason: describeFailure(failure) });
  }
}

const newerHead = (newest: Head | undefined, head: Head): Head =>
  newest === undefined || compareHeads(head, newest) > 0 ? head : newest;

const verdictText: Readonly<Record<Exclude<SlotVerdict, 'opened' | 'known'>, string>> = {
  'other-key': 'it gave another key than the one of this slot',
  'wrong-key': 'its key does not open the slot',
  'bad-share': 'its slot holds a share that would choose the store key alone',
  foreign: 'it answered for a slot that is not its own',
  refused: 'the threshold of this generation is below the measured minimum',
};
