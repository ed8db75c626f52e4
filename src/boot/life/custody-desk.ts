import { setMaxListeners } from 'node:events';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { OneTimeKey, PendingRequest, unknownRequest } from '../../custody/pending-request.ts';
import {
  type CustodyQuestion,
  custodyReportData,
  encodeRequest,
  MAX_DATE_MS,
} from '../../custody/request.ts';
import { LatchkeyError, RefusalError } from '../../errors/latchkey-error.ts';
import { encodeKeyslotFile } from '../../keyslots/keyslot-codec.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { Generation, KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { openLineageSecret } from '../../keyslots/slot-seal.ts';
import { Lineage } from '../../lineage/lineage.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import { type PeekedLog, peekLog } from '../../store/open/peek-log.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { type NodeState, summarize } from '../node/node-state.ts';
import { type RecoveredKey, recoverStoreKey } from '../obtain/recovery.ts';
import { describeFailure } from '../peer/peer-failure.ts';
import type { CustodyKey, GuardianParts } from './boot-stage.ts';

/** Most of a text that goes into a report. */
const MAX_REASON = 500;
const MAX_STANDING = 250;

/** What the answers of custodians came to. */
export interface CustodyProgress {
  /** Names of the custodians that gave their part. */
  readonly answered: readonly string[];
  readonly threshold: number;
  /** What was wrong with each answer that does not count. */
  readonly refused: readonly LatchkeyError[];
  /** Whether the store key is there; the node opens its store next. */
  readonly opens: boolean;
}

/** The parts that the desk uses. */
export interface CustodyDeskParts {
  readonly parts: GuardianParts;
  readonly folder: NodeFolder;
  readonly stopped: AbortSignal;
  readonly state: () => NodeState;
  /** Called when the store key is there. */
  readonly onKey: () => void;
}

/** A store key that custodians gave. */
interface GivenKey {
  readonly generation: Generation;
  readonly storeKey: SecretBytes;
  readonly states: readonly LineageState[];
}

/** Opens a locked store with the parts of custodians. One request at a time; its key never leaves this process. */
export class CustodyDesk implements CustodyKey {
  readonly #around: CustodyDeskParts;
  #pending: PendingRequest | undefined;
  #given: GivenKey | undefined;

  constructor(around: CustodyDeskParts) {
    this.#around = around;
  }

  /**
   * Makes a request for the custodians; the one before is void.
   * @param number the generation of slots to open by; by default the newest that has parts.
   * @returns a text block.
   * @throws RefusalError CUSTODY_NOT_NEEDED, CUSTODY_ABSENT, and what the keyslot file, chain and quote source throw.
   */
  async request(number?: number): Promise<string> {
    this.#requireLocked();
    const { parts, folder, stopped } = this.#around;
    const file = await this.#readFile();
    const generation = generationWithParts(file, number);
    const { custody } = generation;
    const { block } = await orAborted(parts.chain.snapshot(), stopped);
    const key = new OneTimeKey(parts.tools.random);
    const log = await peekLog(parts.fileSystem, NodeFolder.storePath(folder.path)).catch(() => ({}));
    const question: CustodyQuestion = {
      account: file.account,
      storeId: file.storeId,
      generation: generation.generation,
      threshold: custody.threshold,
      set: custody.set,
      parts: custody.parts,
      keyslots: sha256(encodeKeyslotFile(file)),
      oneTimeKey: key.publicKey,
      finalized: block,
      report: { ...reportOn(this.#around.state()), ...datable(log) },
    };
    const quote = await this.#quoteOver(question, key);
    this.#pending?.wipe();
    this.#pending = new PendingRequest(question, key, file, generation);
    const { number: finalized, hash } = block;
    parts.log('warn', 'custody.requested', { generation: generation.generation, block: finalized });
    return encodeRequest({ ...question, finalized: { number: finalized, hash }, quote });
  }

  /**
   * Takes answers, each for itself. With enough of them the store key is there.
   * @param isForced although t key servers can still give their keys; the log keeps it.
   * @throws RefusalError CUSTODY_REQUEST_UNKNOWN without a request, CUSTODY_NOT_NEEDED; EvidenceError
   *   KEYSLOT_FILE_MALFORMED, CUSTODY_ANSWER_WRONG when no answer is right.
   */
  async open(answers: readonly string[], isForced: boolean): Promise<CustodyProgress> {
    this.#requireLocked();
    const pending = this.#pending;
    if (pending === undefined) throw unknownRequest();
    const refused = this.#take(pending, answers);
    const { answered, threshold } = pending;
    if (answered.length < threshold) return { answered, threshold, refused, opens: false };
    const file = await this.#readFile();
    const states = await this.#requireLost(file, isForced);
    // The node may be open by itself now, or at its end: then the key would stay in memory.
    this.#requireLocked();
    const storeKey = pending.combine();
    const generation = file.generations.find((one) => one.generation === pending.generation);
    if (storeKey === undefined || generation === undefined) {
      storeKey?.wipe();
      throw unknownRequest();
    }
    this.#given?.storeKey.wipe();
    this.#given = { generation, storeKey, states };
    this.#around.parts.log('warn', 'custody.opened', {
      custodians: answered,
      generation: generation.generation,
      forced: isForced,
    });
    this.#around.onKey();
    return { answered, threshold, refused, opens: true };
  }

  /** The key that custodians gave, for the file that they gave it for; every call makes copies. */
  take(file: KeyslotFile): RecoveredKey | undefined {
    const given = this.#given;
    const generation = file.generations.find((one) => one.generation === given?.generation.generation);
    if (given === undefined || generation === undefined) return undefined;
    const secret = openLineageSecret(
      given.storeKey,
      { ...file, generation: generation.generation },
      generation.lineage,
    );
    if (secret === undefined) return undefined;
    return {
      storeKey: new SecretBytes(given.storeKey.reveal()),
      generation: generation.generation,
      serverKeys: new Map(),
      lineage: new Lineage(secret),
      states: given.states,
      timeMs: undefined,
      slots: [],
      byCustodians: true,
    };
  }

  /** Wipes the request and the key: the store is open, or the process ends. */
  wipe(): void {
    this.#pending?.wipe();
    this.#pending = undefined;
    this.#given?.storeKey.wipe();
    this.#given = undefined;
  }

  #take(pending: PendingRequest, answers: readonly string[]): readonly LatchkeyError[] {
    return answers.flatMap((text) => {
      try {
        pending.offer(text);
        return [];
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        this.#around.parts.log('warn', 'custody.answer-refused', { code: error.code, reason: error.message });
        return [error];
      }
    });
  }

  /** Wipes the one-time key when there is no quote, or no use for it any more. */
  async #quoteOver(question: CustodyQuestion, key: OneTimeKey): Promise<Uint8Array> {
    const { parts, stopped } = this.#around;
    try {
      const quote = await orAborted(parts.tools.quotes.quote(custodyReportData(question)), stopped);
      this.#requireLocked();
      return quote;
    } catch (error) {
      key.wipe();
      throw error;
    }
  }

  #requireLocked(): void {
    const state = this.#around.state();
    if (state.name === 'locked') return;
    throw new RefusalError('CUSTODY_NOT_NEEDED', `the node is ${summarize(state)}`, {
      expected: 'locked',
      observed: state.name,
    });
  }

  async #readFile(): Promise<KeyslotFile> {
    const { parts, folder } = this.#around;
    return await new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path)).read();
  }

  /** Asks the key servers once more. Their word on the newest head of the store counts also when it is forced. */
  async #requireLost(file: KeyslotFile, isForced: boolean): Promise<readonly LineageState[]> {
    const { parts, stopped } = this.#around;
    const { chain, tools, log, options, clockToleranceMs, maxTimeJumpMs } = parts;
    setMaxListeners(0, stopped);
    const snapshot = await orAborted(chain.snapshot(), stopped);
    const { minimumThreshold } = options;
    const outcome = await recoverStoreKey(
      { ...tools, log },
      { file, snapshot, minimumThreshold, clockToleranceMs, maxTimeJumpMs, signal: stopped },
    );
    if (!outcome.ok) return [];
    const { storeKey, lineage, serverKeys, states } = outcome.recovered;
    storeKey.wipe();
    lineage.wipe();
    for (const key of serverKeys.values()) key.wipe();
    if (isForced) return states;
    throw new RefusalError('CUSTODY_NOT_NEEDED', 't of its key servers still give their keys', {
      hint: 'the node opens by itself, or `latchkey status --explain` says what keeps it locked; custodians do not change that',
    });
  }
}

function generationWithParts(file: KeyslotFile, number: number | undefined) {
  for (const generation of file.generations) {
    const { custody } = generation;
    if (number !== undefined && generation.generation !== number) continue;
    if (custody !== undefined && custody.parts.length > 0) return { ...generation, custody };
  }
  throw new RefusalError('CUSTODY_ABSENT', 'the keyslot file has no parts of custodians', {
    ...(number === undefined ? {} : { field: `generation ${number}` }),
    hint: 'trust.custody names custodians for generations that are made from then on, not for this one',
  });
}

/** The host sets the times of files: one that is no date would make the request unreadable. */
function datable({ changedAtMs, ...rest }: PeekedLog): PeekedLog {
  const isDate = changedAtMs !== undefined && changedAtMs >= 0 && changedAtMs <= MAX_DATE_MS;
  return isDate ? { ...rest, changedAtMs } : rest;
}

function reportOn(state: NodeState): Pick<CustodyQuestion['report'], 'reason' | 'servers'> {
  const slots = 'slots' in state ? state.slots : [];
  return {
    reason: summarize(state).slice(0, MAX_REASON),
    servers: slots.slice(0, 32).map(({ server, standing }) => ({
      account: encodeSs58(server),
      standing: (typeof standing === 'string' ? standing : describeFailure(standing)).slice(0, MAX_STANDING),
    })),
  };
}
