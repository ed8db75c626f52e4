import { describeFailure, failureOf } from '../../boot/peer/peer-failure.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import type { ChainView, ServerRecord } from '../../chain/chain-view.ts';
import { EvidenceError, LatchkeyError } from '../../errors/latchkey-error.ts';
import type { Log } from '../../observe/log.ts';
import { followRegistry, type PlatformProof, type RingConstants } from '../../ring/members/registry.ts';
import type { RegistryLog } from '../../ring/members/registry-log.ts';
import type { RingState } from './ring-state.ts';

/** With more boundaries than this to read, the members are asked first: they have them all in one answer. */
const READ_AT_MOST = 16;
/** Members that are asked at once; the others when these do not suffice. */
const ASKED_AT_ONCE = 32;
/** Members that have to give the same answer, where there are as many. */
const NEEDED_ANSWERS = 2;

/** A member's log after a registry, and by which view it serves. */
export interface RegistryAnswer {
  readonly log: RegistryLog;
  /** Block of the view; `undefined` when it serves by none. */
  readonly serving: number | undefined;
}

/**
 * Follows the registries of the chain, boundary by boundary, without gaps: reads each by proof, and takes from the other
 * members those that no endpoint has the state of any more.
 */
export class RegistryFollower {
  readonly #state: RingState;
  readonly #constants: RingConstants;
  readonly #chain: ChainView;
  readonly #provenPlatform: PlatformProof;
  readonly #ask: (to: AccountId, after: number) => Promise<RegistryAnswer>;
  readonly #random: () => number;
  readonly #log: Log;
  /** The oldest view by which members serve that answered. */
  #serving: number | undefined;
  #problem: string | undefined;

  constructor(parts: {
    readonly state: RingState;
    readonly constants: RingConstants;
    readonly chain: ChainView;
    readonly provenPlatform: PlatformProof;
    /** Asks a server for its registries from one block on. */
    readonly ask: (to: AccountId, after: number) => Promise<RegistryAnswer>;
    /** In [0, 1). */
    readonly random: () => number;
    readonly log: Log;
  }) {
    this.#state = parts.state;
    this.#constants = parts.constants;
    this.#chain = parts.chain;
    this.#provenPlatform = parts.provenPlatform;
    this.#ask = parts.ask;
    this.#random = parts.random;
    this.#log = parts.log;
  }

  /** The view by which members served that gave their registries; a new member begins there. */
  get serving(): number | undefined {
    return this.#serving;
  }

  /** Why it does not get on; `undefined` when it does. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Whether all boundaries up to a block are known. */
  isUpTo(block: number): boolean {
    return this.#state.log.upTo + this.#constants.everyBlocks > block;
  }

  /**
   * Goes on as far as it can.
   * @param newest number of the newest finalized block.
   * @param others servers that may be asked, without this node.
   * @param needed the block of a registry that is kept whatever its age.
   * @param isAhead whether a member has told of a newer boundary than this node knows.
   */
  async advance(
    newest: number,
    others: readonly ServerRecord[],
    needed: number,
    isAhead: boolean,
  ): Promise<void> {
    const { everyBlocks } = this.#constants;
    const gap = (newest - this.#state.log.upTo) / everyBlocks;
    if (gap > READ_AT_MOST || isAhead) await this.#takeFrom(others, needed);
    while (!this.isUpTo(newest)) {
      const known = this.#state.log.upTo;
      if (await this.#read(known + everyBlocks, needed)) continue;
      if (await this.#takeFrom(others, needed)) continue;
      return;
    }
    this.#setProblem(undefined);
  }

  async #read(boundary: number, needed: number): Promise<boolean> {
    try {
      const snapshot = await this.#chain.snapshotAt?.(boundary);
      if (snapshot === undefined) return false;
      const { log } = this.#state;
      const next = followRegistry(log.newest, snapshot, this.#provenPlatform);
      await this.#state.saveLog(log.with(next, boundary), needed);
      return true;
    } catch (error) {
      this.#setProblem(`boundary ${boundary} cannot be read: ${messageOf(error)}`);
      return false;
    }
  }

  /** Takes what other members have, when enough of them say the same. @returns whether that was more than was known. */
  async #takeFrom(others: readonly ServerRecord[], needed: number): Promise<boolean> {
    const before = this.#state.log.upTo;
    const answers = await this.#answers(others);
    if (answers.length === 0 || answers.length < Math.min(NEEDED_ANSWERS, others.length)) return false;
    try {
      const { log } = this.#state;
      const taken = believed(
        answers.map((answer) => answer.log),
        log,
      );
      if (taken !== undefined) await this.#state.saveLog(log.joined(taken), needed);
    } catch (error) {
      this.#setProblem(messageOf(error));
      if (!(error instanceof EvidenceError)) throw error;
      return false;
    }
    const blocks = answers.flatMap(({ serving }) => (serving === undefined ? [] : [serving]));
    if (blocks.length > 0) this.#serving = Math.min(...blocks);
    return this.#state.log.upTo > before;
  }

  async #answers(others: readonly ServerRecord[]): Promise<readonly RegistryAnswer[]> {
    const after = this.#state.log.newest.block;
    const waiting = others
      .map((record) => ({ record, place: this.#random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ record }) => record);
    const answers: RegistryAnswer[] = [];
    while (waiting.length > 0 && answers.length < NEEDED_ANSWERS) {
      const asked = waiting.splice(0, ASKED_AT_ONCE);
      const results = await Promise.allSettled(asked.map(({ account }) => this.#ask(account, after)));
      for (const result of results) if (result.status === 'fulfilled') answers.push(result.value);
    }
    return answers;
  }

  #setProblem(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem) this.#log('warn', 'ring.behind', { problem });
    this.#problem = problem;
  }
}

/**
 * What two members say alike, as far as both say it, or the only answer there can be: a member that lies can name
 * boundaries of the future, or leave out those that follow on the known ones.
 * @throws EvidenceError RING_VIEWS_DIFFER when two contradict each other.
 */
function believed(logs: readonly RegistryLog[], known: RegistryLog): RegistryLog | undefined {
  if (logs.length === 1) return logs[0];
  let best: RegistryLog | undefined;
  for (const [at, log] of logs.entries()) {
    for (const other of logs.slice(at + 1)) {
      const both = log.agreed(other);
      if (both === undefined || both.upTo <= (best?.upTo ?? known.upTo)) continue;
      // A gap is taken only where both have forgotten what was before it.
      if (both.follows(known) || !(log.follows(known) || other.follows(known))) best = both;
    }
  }
  return best;
}

const messageOf = (error: unknown): string =>
  error instanceof LatchkeyError ? `${error.code}: ${error.message}` : describeFailure(failureOf(error));
