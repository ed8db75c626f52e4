import { encodeHead } from '../audit/audit-chain.ts';
import type { AuditEvent, AuditFields } from '../audit/audit-entry.ts';
import { type ExportingNode, exportLog } from '../audit/audit-export.ts';
import { AuditLog } from '../audit/audit-log.ts';
import { RefusalCounts } from '../audit/refusal-counts.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import type { BackupRelease } from '../entropy/entropy-server.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { Release } from '../keyserver/key-server.ts';
import type { Log } from '../observe/log.ts';
import { type Extensions, noExtensions } from '../protocol/extensions.ts';
import type { Clock } from '../time/clock.ts';
import { withDeadline } from '../time/deadline.ts';
import { platformHash } from '../trust/platform-lists.ts';
import type { AuditWitness, WitnessedHead } from './audit-witness.ts';

/** How long a key waits for its entry to be durable. A disk that fails must not keep peers locked. */
const PATIENCE_MS = 2_000;
/** How often entries that wait are tried again. */
const RETRY_EVERY_MS = 60_000;
/**
 * Least number of these periods between two entries about refusals: by one refusal a minute, strangers would push releases
 * out of the log within months.
 */
const REFUSALS_EVERY = 60;

/** The part of an open node that has an audit log. */
export type AuditedNode = Pick<OpenNode, 'store' | 'storeId'> & {
  readonly identity: Pick<OpenNode['identity'], 'account' | 'accountSeed'>;
};

/** The parts of the audit log of a node. */
export interface NodeAuditParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly maxEntries: number;
  /** Whether a key leaves only with a durable entry: `trust.audit.required`. */
  readonly isRequired: boolean;
  /** The heads of other nodes. */
  readonly witness: AuditWitness;
}

/** The audit log of an open node: what this node records, and when. */
export class NodeAudit {
  readonly #log: AuditLog;
  readonly #store: AuditedNode['store'];
  readonly #node: ExportingNode;
  readonly #parts: NodeAuditParts;
  readonly #refusals = new RefusalCounts();

  private constructor(
    log: AuditLog,
    store: AuditedNode['store'],
    node: ExportingNode,
    parts: NodeAuditParts,
  ) {
    this.#log = log;
    this.#store = store;
    this.#node = node;
    this.#parts = parts;
  }

  /** Opens the log in the store of a node. One that cannot be read locks no node: entries wait in memory. */
  static async open(node: AuditedNode, parts: NodeAuditParts): Promise<NodeAudit> {
    const { store, storeId, identity } = node;
    const { clock, maxEntries } = parts;
    const { account, accountSeed } = identity;
    const log = await AuditLog.open(
      { store, account, storeId, maxEntries, nowMs: () => clock.nowMs() },
      (error) => parts.log('error', 'audit.not-read', { error: String(error) }),
    );
    const audit = new NodeAudit(log, store, { account, accountSeed, storeId }, parts);
    // A store that custodians opened takes no writes at first: the entries wait in memory.
    void store.whenReleased.then(() => log.flush()).catch((error: unknown) => audit.#failed(error));
    return audit;
  }

  /**
   * Resolves when the entry of a release is durable; or, where the log is not required, when the store refuses it or two
   * seconds have passed.
   * @throws ProblemError AUDIT_REQUIRED.
   */
  async released({ grant, requestId }: Release): Promise<void> {
    const { key, bound, created } = grant;
    const { platform, trustHash } = key.provenance;
    const fields = {
      account: encodeSs58(key.account),
      intent: bound.request.intent,
      created,
      keyId: toPrefixedHex(key.keyId),
      platform: toPrefixedHex(platformHash(platform)),
      trustHash: toPrefixedHex(trustHash),
      requestId,
    };
    await this.#recordRelease(fields);
  }

  /** As {@link released}, for the backup of a node of entropy-tss. */
  async gaveBackup({ account, ppid, requestId }: BackupRelease): Promise<void> {
    const platform = toPrefixedHex(platformHash(ppid));
    const fields = { account: encodeSs58(account), intent: 'entropy', platform, requestId };
    await this.#recordRelease(fields);
  }

  async #recordRelease(fields: AuditFields): Promise<void> {
    const { clock, isRequired } = this.#parts;
    const isDurable = await withDeadline(clock, PATIENCE_MS, () => this.#keep('key.released', fields));
    // Nodes that custodians opened after a total blackout write only when others have given them keys.
    if (isDurable === true || !isRequired || !this.#store.isReleased) return;
    throw new ProblemError('AUDIT_REQUIRED', 'the entry of this release is not durable, so no key leaves', {
      hint: 'ask other servers; the disk of this one has to be repaired',
      retryAfterMs: RETRY_EVERY_MS,
    });
  }

  /** Counts a refused request. */
  refused(code: string, requestId: string): void {
    this.#refusals.add(code, requestId);
  }

  /** Records something else. Never rejects: what cannot be written waits in memory. */
  async note(event: AuditEvent, fields: AuditFields): Promise<void> {
    await this.#keep(event, fields);
  }

  /** @returns whether the entry is durable; one that is not waits in memory. */
  async #keep(event: AuditEvent, fields: AuditFields): Promise<boolean> {
    try {
      await this.#log.append(event, fields);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  /** Sums up refusals, and writes what could not be written before. Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let periods = REFUSALS_EVERY;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(RETRY_EVERY_MS, signal);
      periods++;
      const refusals = periods >= REFUSALS_EVERY || signal.aborted ? this.#refusals.take() : undefined;
      if (refusals === undefined) {
        await this.#log.flush().catch((error: unknown) => this.#failed(error));
        continue;
      }
      periods = 0;
      await this.note('keys.refused', refusals);
    }
  }

  /** The head, for grants and answers: so the clients of a server know what its log contained when they asked. */
  extensions(): Extensions {
    const { head } = this.#log;
    return head.sequence === 0 ? noExtensions : new Map([['auditHead', encodeHead(head)]]);
  }

  /** The heads of each server of this node. */
  heads(): WitnessedHead[] {
    return [...this.#parts.witness.heads()];
  }

  /** Lines of an export. */
  export(): AsyncGenerator<Uint8Array> {
    return exportLog(this.#log, this.#node, this.#parts.clock.nowMs());
  }

  /** For `status`. */
  get report(): {
    readonly audit: { readonly sequence: number; readonly hash: string; readonly behind: number };
  } {
    const { head, behind } = this.#log;
    return { audit: { sequence: head.sequence, hash: toPrefixedHex(head.hash), behind } };
  }

  #failed(error: unknown): void {
    this.#parts.log('warn', 'audit.behind', { behind: this.#log.behind, error: String(error) });
  }
}
