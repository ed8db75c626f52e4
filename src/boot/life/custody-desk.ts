import { setMaxListeners } from 'node:events';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import { sha256 } from '../../crypto/sha2.ts';
import { OneTimeKey, PendingRequest, unknownRequest } from '../../custody/pending-request.ts';
import { type CustodyQuestion, custodyReportData, encodeRequest } from '../../custody/request.ts';
import { LatchkeyError, RefusalError } from '../../errors/latchkey-error.ts';
import { encodeKeyslotFile } from '../../keyslots/keyslot-codec.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { Generation, KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { openLineageSecret } from '../../keyslots/slot-seal.ts';
import { Lineage } from '../../lineage/lineage.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import { peekLog } from '../../store/open/peek-log.ts';
import { orAborted } from '../../time/or-aborted.ts';
import type { CustodyOpening } from '../node/custody-openings.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { type NodeState, summarize } from '../node/node-state.ts';
import { type RecoveredKey, recoverStoreKey } from '../obtain/recovery.ts';
import type { CustodyKey, GuardianParts } from './boot-stage.ts';
import { custodyReport, generationWithParts } from './custody-question.ts';
import { knownOfStore } from './known-of-store.ts';

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
  readonly opening: CustodyOpening;
  /** Whether an attempt to open the store has used it. */
  isUsed: boolean;
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
      report: custodyReport(this.#around.state(), log, parts.tools.clock.nowMs(), block),
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
    try {
      await this.#openBy(pending, isForced);
    } catch (error) {
      // Together they are the store key, and nothing says when the operator will try again.
      pending.dropParts();
      throw error;
    }
    return { answered, threshold, refused, opens: true };
  }

  async #openBy(pending: PendingRequest, isForced: boolean): Promise<void> {
    const { parts, stopped, onKey } = this.#around;
    const file = await this.#readFile();
    const snapshot = await orAborted(parts.chain.snapshot(), stopped);
    const { states, wasNeedless } = await this.#requireLost(file, snapshot, isForced);
    const generation = file.generations.find((one) => one.generation === pending.generation);
    const storeKey = pending.combine();
    if (storeKey === undefined || generation === undefined) {
      storeKey?.wipe();
      throw unknownRequest();
    }
    const opening: CustodyOpening = {
      openedAtMs: parts.tools.clock.nowMs(),
      generation: generation.generation,
      custodians: [...pending.answered],
      forced: wasNeedless,
    };
    try {
      const shown = await knownOfStore({
        ...parts.tools,
        file,
        generation,
        storeKey,
        snapshot,
        signal: stopped,
      });
      // The node may be open by itself now, or at its end: then the key would stay in memory.
      this.#requireLocked();
      this.#given?.storeKey.wipe();
      this.#given = { generation, storeKey, states: [...states, ...shown], opening, isUsed: false };
    } catch (error) {
      storeKey.wipe();
      throw error;
    }
    parts.log('warn', 'custody.opened', { ...opening });
    onKey();
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
    given.isUsed = true;
    return {
      storeKey: new SecretBytes(given.storeKey.reveal()),
      generation: generation.generation,
      serverKeys: new Map(),
      lineage: new Lineage(secret),
      states: given.states,
      timeMs: undefined,
      slots: [],
      byCustodians: given.opening,
    };
  }

  /** Wipes the request and the key when an attempt has used the key, and the store was refused: it needs another disk. */
  dropUsed(): void {
    if (this.#given?.isUsed !== true) return;
    this.#around.parts.log('warn', 'custody.key-dropped', {
      message: 'the store that custodians opened was refused; the next attempt needs a new request',
    });
    this.wipe();
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
      hint: 'custodians open a locked store only; `latchkey status --explain` says what this node waits for',
    });
  }

  async #readFile(): Promise<KeyslotFile> {
    const { parts, folder } = this.#around;
    return await new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path)).read();
  }

  /**
   * Asks the key servers once more. What they know of the newest head of the store counts also when it is forced, and when
   * they are fewer than t.
   */
  async #requireLost(
    file: KeyslotFile,
    snapshot: ChainSnapshot,
    isForced: boolean,
  ): Promise<{ readonly states: readonly LineageState[]; readonly wasNeedless: boolean }> {
    const { parts, stopped } = this.#around;
    const { tools, log, options, clockToleranceMs, maxTimeJumpMs } = parts;
    setMaxListeners(0, stopped);
    const { minimumThreshold } = options;
    const outcome = await recoverStoreKey(
      { ...tools, log },
      { file, snapshot, minimumThreshold, clockToleranceMs, maxTimeJumpMs, signal: stopped },
    );
    if (!outcome.ok) return { states: outcome.states, wasNeedless: false };
    const { storeKey, lineage, serverKeys, states } = outcome.recovered;
    storeKey.wipe();
    lineage.wipe();
    for (const key of serverKeys.values()) key.wipe();
    if (isForced) return { states, wasNeedless: true };
    throw new RefusalError('CUSTODY_NOT_NEEDED', 't of its key servers still give their keys', {
      hint: 'the node opens by itself, or `latchkey status --explain` says what keeps it locked; custodians do not change that. `latchkey custody open --force` with the same answers goes on all the same, and the store remembers it',
    });
  }
}
