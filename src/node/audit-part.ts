import type { AuditEvent, AuditFields } from '../audit/audit-entry.ts';
import type { OpenNode } from '../boot/node/open-node.ts';
import type { Config } from '../config/schema.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import { AuditWitness } from './audit-witness.ts';
import { NodeAudit } from './node-audit.ts';
import type { NodeParts } from './parts.ts';

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

  /** Sums up refusals, and keeps the heads of servers once the store takes writes. Resolves when the signal aborts. */
  async run({ store }: OpenNode, signal: AbortSignal): Promise<void> {
    const isReleased = new Promise<void>((resolve) => {
      void store.whenReleased.then(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const keeping = isReleased.then(() => this.#witness.run(store, signal));
    await Promise.all([this.#log?.run(signal), keeping]);
  }

  /** For the agent's routes. @throws ProblemError INTERNAL before the store is open. */
  requireLog(): NodeAudit {
    if (this.#log !== undefined) return this.#log;
    throw new ProblemError('INTERNAL', 'the audit log is not open');
  }
}
