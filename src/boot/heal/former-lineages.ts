import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../../chain/chain-view.ts';
import { BOOT_BYTES, type Incarnation } from '../../lineage/incarnation.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { isNewer, isSame } from '../../lineage/rules.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import { LAST_NUMBER } from '../node/account-hold.ts';
import { type OldLineage, type OldServer, unclosedAt } from '../node/older-records.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { PresentProcess } from '../obtain/present-process.ts';
import type { PeerClient } from '../peer/peer-client.ts';
import { failureOf, PeerError, type PeerFailure } from '../peer/peer-failure.ts';
import type { PacedRequests } from './paced-requests.ts';

/** What a {@link FormerLineages} uses. */
export interface FormerLineagesParts {
  readonly client: PeerClient;
  readonly presentProcess: PresentProcess;
  readonly requests: PacedRequests;
  /**
   * Called at the answer that shows a newer instance under a former lineage.
   * @param lineage its name: the random part (hex) of the boot that changed the store key.
   * @returns whether the operator accepted, for this start, that what that instance wrote is lost.
   */
  readonly onOvertaken: (by: Incarnation, lineage: string) => boolean;
}

/** Has servers close the lineages of former store keys; they are asked until they show the last mark, or are gone. */
export class FormerLineages {
  readonly #parts: FormerLineagesParts;
  readonly #node: OpenNode;

  constructor(parts: FormerLineagesParts, node: OpenNode) {
    this.#parts = parts;
    this.#node = node;
  }

  /** Starts what is due and returns at once. @param onFailure gets the server and the error of a request that failed. */
  run(
    snapshot: ChainSnapshot,
    signal: AbortSignal,
    onFailure: (record: ServerRecord, error: unknown) => void,
  ): void {
    for (const old of this.#node.older.lineages) {
      const unclosed = unclosedAt(old);
      for (const record of snapshot.servers) {
        const processes = unclosed.filter(({ server }) => equalBytes(server, record.account));
        if (processes.length === 0) continue;
        this.#parts.requests.start(
          `${toHex(record.account)}/former/${toHex(old.last.boot)}`,
          () => this.#close(record, processes, old, snapshot, signal),
          (error) => onFailure(record, error),
        );
      }
    }
  }

  async #close(
    record: ServerRecord,
    processes: readonly OldServer[],
    old: OldLineage,
    snapshot: ChainSnapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, presentProcess } = this.#parts;
    const { identity, older } = this.#node;
    const lineage = new Lineage(SecretBytes.adopt(copyBytes(old.secret.reveal())));
    const key = lineage.keyOf(record.account);
    try {
      const marks = marksOf(lineage, old);
      const close = { last: marks.last, head: lineage.head(marks.last, 0, new Uint8Array(32)) };
      let isClosed = false;
      const observer = {
        observe: (state: LineageState | undefined) => {
          isClosed = this.#take(state, lineage, marks, processes);
        },
      };
      const update = { incarnation: marks.from, head: undefined, forget: [], close };
      const held = { account: identity.account, key, observer };
      await client.lineageUpdate(record, held, update, signal);
      if (!isClosed) throw new PeerError(notClosed);
    } catch (error) {
      if (failureOf(error).kind !== 'forgot') throw error;
      const known = processes.map(({ instanceId }) => instanceId);
      const { account } = identity;
      const present = await presentProcess({ record, account, known, snapshot, signal });
      const gone = processes.filter(({ instanceId }) => !equalBytes(instanceId, present));
      await older.closed(old.secret, gone);
      // "No such lineage" proves nothing about the process that answers.
      if (gone.length < processes.length) throw error;
    } finally {
      key.wipe();
      lineage.wipe();
    }
  }

  /**
   * A newer mark is that of an instance that this node did not know of when it changed its store key.
   * Returns whether the lineage is closed there.
   */
  #take(
    state: LineageState | undefined,
    lineage: Lineage,
    { from, last }: ClosingMarks,
    processes: readonly OldServer[],
  ): boolean {
    const { older } = this.#node;
    if (state === undefined || !lineage.isOwnIncarnation(state.shown)) return false;
    const { shown } = state;
    const name = toHex(last.bootId.subarray(0, BOOT_BYTES));
    const isAccepted = isSame(shown, last) || (isNewer(shown, from) && this.#parts.onOvertaken(shown, name));
    if (!isAccepted) return false;
    // After the last mark of any instance no other one can be shown.
    const isClosed = shown.number === LAST_NUMBER;
    if (isClosed) void older.closed(lineage.secret, processes);
    else void older.accept(lineage.secret, shown);
    return isClosed;
  }
}

const notClosed: PeerFailure = { kind: 'garbage', detail: 'it did not close the former lineage' };

/** The marks of a request to close a lineage. */
interface ClosingMarks {
  /** The condition of the request: the newest instance that this node knows of. */
  readonly from: Incarnation;
  /** The mark above all others that is shown afterwards. */
  readonly last: Incarnation;
}

function marksOf(lineage: Lineage, { last, accepted = last }: OldLineage): ClosingMarks {
  return {
    from: lineage.incarnation(accepted.number, accepted.boot),
    last: lineage.incarnation(LAST_NUMBER, last.boot),
  };
}
