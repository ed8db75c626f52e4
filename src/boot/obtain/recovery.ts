import { setMaxListeners } from 'node:events';
import { equalBytes } from '../../bytes/concat.ts';
import { toHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Generation, KeyslotFile, Slot } from '../../keyslots/keyslot-file.ts';
import { RecoveryAttempt, type SlotVerdict } from '../../keyslots/recovery-attempt.ts';
import { openLineageSecret } from '../../keyslots/slot-seal.ts';
import { Lineage } from '../../lineage/lineage.ts';
import type { Log } from '../../observe/log.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import type { KeyGrant } from '../../protocol/sealed-key.ts';
import { agreedTime, isTimeJump } from '../../trust/time.ts';
import type { CustodyOpening } from '../node/custody-openings.ts';
import type { SlotReport } from '../node/node-state.ts';
import { describeFailure, type PeerFailure } from '../peer/peer-failure.ts';
import { type KeyHolder, KeyHolders } from './key-holders.ts';
import { type RoundResult, type RoundTarget, type RoundTools, runKeyRound } from './key-round.ts';
import type { ServerVetter } from './vet-server.ts';

/** How long the newer generation may take before the older one is asked too: a hanging server must not cost more. */
const HEDGE_MS = 1_000;

/** The input of a recovery. */
export interface RecoveryInput {
  readonly file: KeyslotFile;
  readonly snapshot: ChainSnapshot;
  /** From the trust section. */
  readonly minimumThreshold: number;
  readonly clockToleranceMs: number;
  /** How far the servers' time may be ahead of the chain's and the own; from the trust section. */
  readonly maxTimeJumpMs: number;
  readonly signal: AbortSignal;
}

/** The parts that a recovery uses. */
export interface RecoveryTools extends RoundTools {
  readonly vetter: ServerVetter;
  readonly log: Log;
}

/** The store key, and the facts about the store that t servers reported. */
export interface RecoveredKey {
  readonly storeKey: SecretBytes;
  readonly generation: number;
  /** Server keys by slot id (hex), of every slot that opened. */
  readonly serverKeys: ReadonlyMap<string, SecretBytes>;
  readonly lineage: Lineage;
  /** What the servers of the slots that opened know of the lineage. Not all of it carries the node's mark. */
  readonly states: readonly LineageState[];
  /**
   * Time on which t servers of this generation agree, in milliseconds; `undefined` when they do not, or when it is so
   * far ahead that a human has to look.
   */
  readonly timeMs: number | undefined;
  readonly slots: readonly SlotReport[];
  /** How custodians gave it; absent when key servers did. */
  readonly byCustodians?: CustodyOpening;
}

/** The result of a recovery. */
export type RecoveryOutcome =
  | { readonly ok: true; readonly recovered: RecoveredKey }
  | {
      readonly ok: false;
      readonly have: number;
      readonly need: number;
      readonly slots: readonly SlotReport[];
      /** What the servers that did answer know of the lineage. Nothing of it is proved without the store key. */
      readonly states: readonly LineageState[];
    };

/**
 * One attempt to get the store key back. Asks each server of the keyslot file, if the chain proves its machine, at its
 * present address: the newer generation first, the older one as soon as the newer cannot open the store any more, or
 * takes long. Attestations are fetched at the same time; a key counts only once that of its server has passed. Ends as
 * soon as t good slots agree; the rest costs nothing. A failed attempt keeps no key.
 */
export async function recoverStoreKey(tools: RecoveryTools, input: RecoveryInput): Promise<RecoveryOutcome> {
  const attempt = new RecoveryAttempt(input.file, input.minimumThreshold);
  const harvest = new Harvest(attempt, tools);
  const search = new Search(tools, input, attempt, harvest);
  try {
    const recovered = await search.run();
    if (recovered !== undefined) return { ok: true, recovered };
    const { states } = harvest;
    harvest.wipe();
    return { ok: false, ...bestProgress(attempt), slots: harvest.reports(input), states };
  } finally {
    attempt.wipe();
  }
}

/** A slot that is asked for. */
interface AskedSlot extends RoundTarget {
  readonly slot: Slot;
  readonly holder: KeyHolder;
}

/** The rounds of one recovery; the first round that opens the store ends all of them. */
class Search {
  readonly #tools: RecoveryTools;
  readonly #input: RecoveryInput;
  readonly #attempt: RecoveryAttempt;
  readonly #harvest: Harvest;
  readonly #holders: KeyHolders;
  /** Aborted when the store key is there, or the caller stops. */
  readonly #enough = new AbortController();
  readonly #openings: Promise<void>[] = [];
  #found: RecoveredKey | undefined;
  #isOver = false;

  constructor(tools: RecoveryTools, input: RecoveryInput, attempt: RecoveryAttempt, harvest: Harvest) {
    // Every request under way listens to it.
    setMaxListeners(0, this.#enough.signal);
    this.#holders = new KeyHolders(tools.vetter, input.snapshot, this.#enough.signal);
    this.#tools = tools;
    this.#input = input;
    this.#attempt = attempt;
    this.#harvest = harvest;
  }

  async run(): Promise<RecoveredKey | undefined> {
    const { signal, file } = this.#input;
    const stop = () => this.#enough.abort();
    signal.addEventListener('abort', stop, { once: true });
    // An aborted signal fires no event.
    if (signal.aborted) stop();
    const [newer, older] = file.generations;
    await this.#untilEnough(this.#ask(newer, older));
    await Promise.all(this.#openings);
    signal.removeEventListener('abort', stop);
    this.#isOver = true;
    return this.#found;
  }

  async #ask(newer: Generation, older: Generation | undefined): Promise<void> {
    const { clock } = this.#tools;
    const hopeless = new AbortController();
    const first = this.#round(newer, () => hopeless.abort());
    if (older === undefined) return first;
    const patience = AbortSignal.any([hopeless.signal, this.#enough.signal]);
    await Promise.race([first, clock.sleep(HEDGE_MS, patience)]);
    await Promise.all(this.#openings);
    await Promise.all([first, this.#enough.signal.aborted ? undefined : this.#round(older)]);
  }

  /** One generation's round. `onHopeless` is called when fewer than t of its slots can still be good. */
  async #round(generation: Generation, onHopeless: () => void = () => undefined): Promise<void> {
    const asked = this.#askedOf(generation);
    let possible = asked.size;
    if (possible < generation.t) onHopeless();
    const taken: Promise<void>[] = [];
    // In parallel with the challenges, so that vetting adds no time.
    for (const { holder } of asked.values()) void this.#holders.vet(holder);
    await runKeyRound(this.#tools, {
      account: this.#input.file.account,
      intent: 'recover',
      targets: [...asked.keys()],
      quorum: generation.t,
      signal: this.#enough.signal,
      onResult: (target, result) => {
        const slot = asked.get(target);
        if (slot === undefined) return;
        const take = async (): Promise<void> => {
          if (await this.#take(slot, result)) return;
          possible--;
          if (possible < generation.t) onHopeless();
        };
        taken.push(take());
      },
    });
    await Promise.all(taken);
  }

  /** The slots of a generation that are asked for; says why others are not. */
  #askedOf(generation: Generation): ReadonlyMap<RoundTarget, AskedSlot> {
    const asked = new Map<RoundTarget, AskedSlot>();
    for (const slot of generation.slots) {
      const found =
        generation.t < this.#input.minimumThreshold
          ? { failure: belowMinimumThreshold }
          : this.#holders.find(slot);
      if ('failure' in found) {
        this.#harvest.note(slot, found.failure);
        continue;
      }
      const { slotId, recoveryToken } = slot;
      const target = { peer: found.holder.record, slotId, recoveryToken };
      asked.set(target, { ...target, slot, holder: found.holder });
    }
    return asked;
  }

  /** Notes the result of one server; false when it does not help. */
  async #take({ slot, holder }: AskedSlot, result: RoundResult): Promise<boolean> {
    const refusal = result.ok && !this.#isDone ? await this.#holders.vet(holder) : undefined;
    // Once the store key is there, what is still on its way no longer counts as a failure.
    if (this.#isDone) {
      if (result.ok) wipeGrant(result.answer.grant);
      return true;
    }
    if (refusal !== undefined && result.ok) wipeGrant(result.answer.grant);
    const judged: RoundResult = refusal === undefined ? result : { ok: false, failure: refusal };
    if (!this.#harvest.take(slot, holder, judged)) return false;
    this.#openings.push(this.#tryOpen());
    return true;
  }

  get #isDone(): boolean {
    return this.#found !== undefined || this.#isOver;
  }

  async #tryOpen(): Promise<void> {
    const opened = await this.#attempt.tryOpen();
    if (opened === undefined) return;
    if (this.#found !== undefined) {
      opened.storeKey.wipe();
      return;
    }
    this.#found = this.#harvest.finish(opened, this.#input);
    this.#enough.abort();
  }

  /** Waits for all rounds, but no longer than for the store key: losers of the race may still be on the wire. */
  async #untilEnough(rounds: Promise<void>): Promise<void> {
    const { signal } = this.#enough;
    rounds.catch(() => undefined);
    const opened = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
    await Promise.race([rounds, opened]);
  }
}

const belowMinimumThreshold: PeerFailure = {
  kind: 'untrusted',
  code: 'THRESHOLD_TOO_LOW',
  detail: 'the threshold of this generation is below minimumThreshold of the trust section',
};

const crowdedPlatform: PeerFailure = {
  kind: 'untrusted',
  code: 'PLATFORM_LIMIT',
  detail: 'platform-limit: at most max(1, t − 1) slots of one platform count',
};

const notVouchedFor: PeerFailure = {
  kind: 'untrusted',
  code: 'PLATFORM_NOT_ENDORSED',
  detail:
    'at most max(1, min(n − t, t − 1)) slots of all platforms together count that the fleet has revoked or does not endorse; the keys of trust.authority have to sign a manifest that endorses them (`latchkey fleet draft`)',
};

function bestProgress(attempt: RecoveryAttempt): { readonly have: number; readonly need: number } {
  const [best] = [...attempt.progress].sort((a, b) => a.t - a.opened - (b.t - b.opened));
  return { have: best?.opened ?? 0, need: best?.t ?? 1 };
}

/** Collects what the servers gave. */
class Harvest {
  readonly #attempt: RecoveryAttempt;
  readonly #tools: Pick<RecoveryTools, 'log' | 'clock'>;
  readonly #grants = new Map<string, KeyGrant>();
  readonly #standings = new Map<string, SlotReport['standing']>();

  constructor(attempt: RecoveryAttempt, tools: Pick<RecoveryTools, 'log' | 'clock'>) {
    this.#attempt = attempt;
    this.#tools = tools;
  }

  /** Notes the result of one server; true when its slot opened. */
  take(
    slot: Slot,
    { platform, countsInPart }: Pick<KeyHolder, 'platform' | 'countsInPart'>,
    result: RoundResult,
  ): boolean {
    if (!result.ok) {
      this.note(slot, result.failure);
      return false;
    }
    const { server, slotId } = slot;
    const { grant } = result.answer;
    const { keyId, key } = grant;
    const verdict = this.#attempt.offer({ server, platform, countsInPart, slotId, keyId, key });
    switch (verdict) {
      case 'opened':
      case 'known':
      case 'crowded':
        this.#grants.set(toHex(slotId), grant);
        this.#standings.set(toHex(slotId), 'live');
        if (verdict === 'crowded') this.note(slot, countsInPart ? notVouchedFor : crowdedPlatform);
        return true;
      default:
        wipeGrant(grant);
        this.note(slot, { kind: 'lied', detail: verdictText[verdict] });
        return false;
    }
  }

  /** What the servers of the slots that opened know of the lineage. */
  get states(): readonly LineageState[] {
    return [...this.#grants.values()].flatMap(({ lineage }) => lineage ?? []);
  }

  /** Wipes all server keys that came. */
  wipe(): void {
    for (const grant of this.#grants.values()) wipeGrant(grant);
    this.#grants.clear();
  }

  /** Notes, and logs, why a slot does not help. */
  note({ slotId, server }: Slot, failure: PeerFailure): void {
    this.#standings.set(toHex(slotId), failure);
    this.#tools.log('warn', 'slot.failed', { server: encodeSs58(server), reason: describeFailure(failure) });
  }

  finish(
    opened: NonNullable<Awaited<ReturnType<RecoveryAttempt['tryOpen']>>>,
    input: RecoveryInput,
  ): RecoveredKey {
    const generation = input.file.generations.find((candidate) => candidate.generation === opened.generation);
    for (const slot of generation?.slots ?? []) {
      if (!opened.outsiders.some((server) => equalBytes(server, slot.server))) continue;
      this.note(slot, { kind: 'lied', detail: 'its share belongs to another store key' });
      const outsider = this.#grants.get(toHex(slot.slotId));
      if (outsider !== undefined) wipeGrant(outsider);
      this.#grants.delete(toHex(slot.slotId));
    }
    return {
      storeKey: opened.storeKey,
      generation: opened.generation,
      serverKeys: new Map([...this.#grants].map(([slotId, { key }]) => [slotId, key])),
      lineage: lineageOf(input.file, generation, opened.storeKey),
      states: this.states,
      timeMs: generation === undefined ? undefined : this.#agreedTime(input, generation),
      slots: this.reports(input),
    };
  }

  /** Only servers of the generation that the store key proved have a voice: another one may be the host's. */
  #agreedTime(
    { snapshot, clockToleranceMs, maxTimeJumpMs }: RecoveryInput,
    { slots, t }: Generation,
  ): number | undefined {
    const times = slots.flatMap(({ slotId }) => this.#grants.get(toHex(slotId))?.serverTimeMs ?? []);
    const timeMs = agreedTime(times, t, clockToleranceMs);
    const { clock, log } = this.#tools;
    const known = [clock.nowMs(), snapshot.block.timestampMs ?? 0];
    if (timeMs === undefined || !isTimeJump(timeMs, known, maxTimeJumpMs)) return timeMs;
    const aheadMs = timeMs - Math.max(...known);
    log('error', 'time.jump-refused', { serversMs: timeMs, aheadMs, maxTimeJumpMs });
    return undefined;
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
}

function wipeGrant({ key, recoveryToken }: KeyGrant): void {
  key.wipe();
  recoveryToken?.wipe();
}

/** The lineage of the generation that opened; its MAC, which the store key proved, covers the sealed secret. */
function lineageOf(file: KeyslotFile, generation: Generation | undefined, storeKey: SecretBytes): Lineage {
  const secret =
    generation === undefined
      ? undefined
      : openLineageSecret(storeKey, { ...file, generation: generation.generation }, generation.lineage);
  if (secret !== undefined) return new Lineage(secret);
  throw new EvidenceError('KEYSLOT_FILE_MALFORMED', 'the lineage of the generation does not open', {
    field: 'generations.lineage',
  });
}

const verdictText: Readonly<Record<Exclude<SlotVerdict, 'opened' | 'known' | 'crowded'>, string>> = {
  'other-key': 'it gave another key than the one of this slot',
  'wrong-key': 'its key does not open the slot',
  'bad-share': 'its slot holds a share that would choose the store key alone',
  foreign: 'it answered for a slot that is not its own',
  refused: 'the threshold of this generation is below the measured minimum',
};
