import type { AuditEvent, AuditFields } from '../audit/audit-entry.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import { equalBytes, utf8 } from '../bytes/concat.ts';
import type { Config } from '../config/schema.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { AuditWitness } from './audit-witness.ts';
import { NodeAudit } from './node-audit.ts';
import type { NodeParts } from './parts.ts';
import { storeKeyName } from './store-key-name.ts';

const NAMESPACE = 'latchkey/audit';
/** The name of the store key of which the log knows. */
const STORE_KEY = 'store-key';

/** The audit of a node from its start to its end: what it records, and what it sees of its servers' logs. */
export class AuditPart {
  readonly #config: Pick<Config, 'audit' | 'trust'>;
  readonly #parts: NodeParts;
  readonly #witness: AuditWitness;
  #log: NodeAudit | undefined;

  constructor(config: Pick<Config, 'audit' | 'trust'>, parts: NodeParts) {
    this.#config = config;
    this.#parts = parts;
    this.#witness = new AuditWitness(parts);
    parts.client.hearExtensions((server, extensions) => this.#witness.hear(server.account, extensions));
  }

  /** The log, once the store is open. */
  get log(): NodeAudit | undefined {
    return this.#log;
  }

  /**
   * Opens the log of an open store and records the start.
   * @param machine this machine, for the entry.
   * @param acceptRolledBackStore whether a human decided to go on from an older store, at the start or since.
   */
  async open(node: OpenNode, machine: AuditFields, acceptRolledBackStore: boolean): Promise<void> {
    const { clock, log } = this.#parts;
    const { audit, trust } = this.#config;
    const isRequired = trust.audit?.required === true;
    const [maxEntries, witness] = [audit.maxEntries, this.#witness];
    this.#log = await NodeAudit.open(node, { clock, log, maxEntries, isRequired, witness });
    const byCustodians = node.byCustodians?.custodians ?? [];
    const forced = node.byCustodians?.forced ?? false;
    void this.note('node.started', { ...machine, byCustodians, forced, acceptRolledBackStore });
  }

  /** Records something, where there is a log. Never rejects. */
  async note(event: AuditEvent, fields: AuditFields): Promise<void> {
    await this.#log?.note(event, fields);
  }

  /**
   * Records that the store key is another one than when this was asked last. After a change with an unknown outcome only
   * the next start can tell; a crash between the entry and the note of it brings the entry twice. Never rejects.
   */
  async noteStoreKey(node: OpenNode, isFoundAtStart: boolean): Promise<void> {
    try {
      const namespace = await node.store.namespace(NAMESPACE);
      const present = utf8(storeKeyName(node));
      const known = await namespace.get(STORE_KEY);
      if (known !== undefined && equalBytes(known, present)) return;
      const generation = node.book.newest?.generation ?? 0;
      if (known !== undefined) await this.note('store-key.changed', { generation, isFoundAtStart });
      await namespace.put(STORE_KEY, present);
    } catch (error) {
      this.#parts.log('warn', 'audit.store-key-not-noted', { error: String(error) });
    }
  }

  /** Sums up refusals, and keeps the heads of servers once the store takes writes. Resolves when the signal aborts. */
  async run(node: OpenNode, signal: AbortSignal): Promise<void> {
    const { store } = node;
    const isReleased = new Promise<void>((resolve) => {
      void store.whenReleased.then(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const keeping = isReleased.then(() => this.#witness.run(store, signal));
    const noting = isReleased.then(() => (signal.aborted ? undefined : this.noteStoreKey(node, true)));
    await Promise.all([this.#log?.run(signal), keeping, noting]);
  }

  /** For the agent's routes. @throws ProblemError INTERNAL before the store is open. */
  requireLog(): NodeAudit {
    if (this.#log !== undefined) return this.#log;
    throw new ProblemError('INTERNAL', 'the audit log is not open');
  }
}
