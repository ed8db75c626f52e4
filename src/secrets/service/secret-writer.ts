import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../bytes/hex.ts';
import { EvidenceError, ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import { KeyedLock } from '../../store/keyed-lock.ts';
import { judgeQuota, judgeReplacement } from '../judge-write.ts';
import { compareRecords, type SecretRecord } from '../record.ts';
import type { SignatureCheck } from '../remember-signatures.ts';
import { decodeEntry, encodeEntry, type SecretEntry } from '../value.ts';
import { readEntry, requireHolder, type SecretRing } from './secret-ring.ts';
import type { UserIndex } from './user-index.ts';
import { isListed, type WriteBounds } from './write-bounds.ts';

type WriteRoute = 'deploy' | 'update' | 'delete';

/** Takes records from users and writes them to the ring. */
export class SecretWriter {
  readonly #account: AccountId;
  readonly #ring: () => SecretRing;
  readonly #index: UserIndex;
  readonly #bounds: WriteBounds;
  readonly #requireRoom: (id: string, bytes: number) => Promise<void>;
  readonly #isSigned: SignatureCheck;
  readonly #now: () => number;
  /** Of one user, so that two of them at once do not both fit into the last place. */
  readonly #writes = new KeyedLock<string>();

  constructor(parts: {
    readonly account: AccountId;
    readonly ring: () => SecretRing;
    readonly index: UserIndex;
    readonly bounds: WriteBounds;
    /**
     * Whether the store of this node takes an entry of this size; the store itself asks it again.
     * @throws ProblemError RING_FULL.
     */
    readonly requireRoom: (id: string, bytes: number) => Promise<void>;
    readonly isSigned: SignatureCheck;
    readonly now: () => number;
  }) {
    this.#account = parts.account;
    this.#ring = parts.ring;
    this.#index = parts.index;
    this.#bounds = parts.bounds;
    this.#requireRoom = parts.requireRoom;
    this.#isSigned = parts.isSigned;
    this.#now = parts.now;
  }

  /**
   * Writes an entry of a user; it is durable at a majority of its holders when this resolves.
   * @throws EvidenceError SECRET_RECORD_INVALID, SECRET_SIGNATURE_INVALID, SECRET_VALUE_MISMATCH, SECRET_TOO_LARGE,
   *   SECRET_VERSION_OLD. RefusalError SECRET_USER_REFUSED, SECRET_NOT_HOLDER, SECRET_EXISTS, SECRET_NOT_FOUND,
   *   SECRET_EXPIRED, SECRET_QUOTA. ProblemError SECRET_RING_FULL, RING_FULL, and those of the ring.
   */
  async write(
    route: WriteRoute,
    user: AccountId,
    body: Uint8Array,
  ): Promise<{ readonly id: string; readonly version: number }> {
    const entry = decodeEntry(body, this.#isSigned);
    try {
      this.#judgeEntry(route, user, entry.record);
      requireHolder(this.#ring(), this.#account, entry.record.id);
      await this.#writes.run(toHex(user), () => this.#replace(route, entry));
      return { id: toPrefixedHex(entry.record.id), version: entry.record.content.version };
    } finally {
      entry.salted.wipe();
    }
  }

  #judgeEntry(route: WriteRoute, user: AccountId, { content }: SecretRecord): void {
    if (!equalBytes(content.account, user))
      throw wrongRecord('account', 'the account that signed the request');
    const kind = route === 'delete' ? 'tombstone' : 'secret';
    if (content.kind !== kind) throw wrongRecord('kind', `a ${kind} on the route ${route}`);
    if (kind === 'secret' && !isListed(this.#bounds.users, user))
      throw new RefusalError('SECRET_USER_REFUSED', 'this node takes no secrets of this account', {
        hint: 'the operator lists accounts in secrets.users',
      });
  }

  async #replace(route: WriteRoute, entry: SecretEntry): Promise<void> {
    const ring = this.#ring();
    const { record } = entry;
    const present = await readEntry(ring, record.id, this.#isSigned);
    present?.salted.wipe();
    this.#judgeRoute(route, record, present?.record);
    judgeReplacement(record, present?.record, this.#now());
    const bytes = encodeEntry(entry);
    // A user who has no room left has to be able to delete.
    if (record.content.kind === 'secret') await this.#judgeRoom(record, bytes.length);
    const written = await ring.write(bytes);
    if (written.kind === 'written') return;
    throw new EvidenceError('SECRET_VERSION_OLD', 'a newer record was written at the same time', {
      field: 'version',
    });
  }

  #judgeRoute(route: WriteRoute, record: SecretRecord, present: SecretRecord | undefined): void {
    // The same record once more is a retry after a lost answer.
    if (present !== undefined && compareRecords(record, present) === 0) return;
    const isThere = present?.content.kind === 'secret';
    if (route !== 'deploy') {
      if (isThere) return;
      throw new RefusalError('SECRET_NOT_FOUND', 'there is no such secret');
    }
    if (!isThere || present.content.expiresAtMs <= this.#now()) return;
    throw new RefusalError('SECRET_EXISTS', 'there is a secret for this origin and path', {
      observed: `version ${present.content.version}`,
      hint: 'change it with update',
    });
  }

  async #judgeRoom({ content, id }: SecretRecord, entryBytes: number): Promise<void> {
    const { perUser, maxRecords } = this.#bounds;
    const name = toHex(id);
    judgeQuota(this.#index.usageWithout(content.account, name), entryBytes, perUser);
    if (!this.#index.has(name) && this.#index.size >= maxRecords)
      throw new ProblemError('SECRET_RING_FULL', 'this node takes no more secrets', {
        observed: `${this.#index.size} secrets of all users`,
        hint: 'the operator can raise secrets.maxRecords',
      });
    await this.#requireRoom(name, entryBytes);
  }
}

const wrongRecord = (field: string, expected: string): EvidenceError =>
  new EvidenceError('SECRET_RECORD_INVALID', `${field} of the record is wrong here`, { field, expected });
