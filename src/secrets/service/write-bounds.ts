import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import type { RecordBounds } from '../../ring/replication/entry.ts';
import { fitsQuota, type Holdings } from '../judge-write.ts';
import { peekEntry } from '../value.ts';
import type { UserIndex } from './user-index.ts';

/** Bounds of what users leave with a node. */
export interface WriteBounds {
  /** Who may deploy and update; deleting is for everybody. */
  readonly users: 'all' | readonly AccountId[];
  /** Of one user, at this node. */
  readonly perUser: Holdings;
  /** Of all users, at this node. */
  readonly maxRecords: number;
}

/** Whether an account is in an operator's list. */
export const isListed = (users: WriteBounds['users'], user: AccountId): boolean =>
  users === 'all' || users.some((listed) => equalBytes(listed, user));

/**
 * The bounds of a node for records that other members bring: the same as for its own users, because a member that lies
 * does not keep them. What takes no more room than the record that it replaces, and a deletion, fits always.
 */
export const recordBounds =
  (index: UserIndex, { users, perUser, maxRecords }: WriteBounds): RecordBounds =>
  ({ id, bytes }) => {
    const { content } = peekEntry(bytes);
    const name = toHex(id);
    const held = index.find(name);
    if (held !== undefined && (content.kind === 'tombstone' || bytes.length <= held.bytes)) return true;
    if (!isListed(users, content.account)) return false;
    if (held === undefined && index.size >= maxRecords) return false;
    return fitsQuota(index.usageWithout(content.account, name), bytes.length, perUser);
  };
