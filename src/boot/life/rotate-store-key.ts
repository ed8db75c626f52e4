import { equalBytes } from '../../bytes/concat.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { ErrorCode } from '../../errors/codes.ts';
import { LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { eligibleServers } from '../../keyslots/choose-servers.ts';
import {
  buildGeneration,
  type EnrolledServer,
  firstFile,
  nextGeneration,
} from '../../keyslots/generations.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { Generation } from '../../keyslots/keyslot-file.ts';
import { type Quorum, thresholdFor } from '../../keyslots/threshold.ts';
import { BOOT_BYTES } from '../../lineage/incarnation.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { checkSlots, isLive, newestOf } from '../heal/slot-check.ts';
import { AccountHold, bootRandom } from '../node/account-hold.ts';
import { bootRecords } from '../node/boot-record.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { type OldLineage, type OldServer, OPENS_NOTHING } from '../node/older-records.ts';
import type { OpenNode } from '../node/open-node.ts';
import { type Enrolment, enrol, shortfall } from '../obtain/enrolment.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';
import { assembleNode, bookOf } from './assemble-node.ts';
import type { BootStage } from './boot-stage.ts';

/** A rotation that failed after something was made. */
export class RotationFailed extends Error {
  override readonly name = 'RotationFailed';
  /** Whether either key may be in force: the keyslot file must stay as it is until the next opening. */
  readonly isUndecided: boolean;

  constructor(cause: unknown, isUndecided: boolean) {
    super('the rotation of the store key failed', { cause });
    this.isUndecided = isUndecided;
  }
}

/** The new key is in force, or may be: its slots must stay. The cause is the error that ended the rotation. */
class KeyUndecided extends Error {
  override readonly name = 'KeyUndecided';
}

/** The store's errors after which its former key is in force for certain. */
const keepFormerKey: ReadonlySet<ErrorCode> = new Set([
  'STORE_DISK_FULL',
  'STORE_DISK_READ_ONLY',
  'STORE_RESOURCES_SHORT',
]);

/**
 * Changes the store key of a backed node, in an order that a crash at any step survives. The new key has a lineage of
 * its own: a thief of the former key could make marks of the former lineage for ever.
 *
 * 1. n servers give keys for a generation of the new key and link them to the new lineage, for an hour. The store notes
 *    the former lineage, which is to be closed; the keyslot file holds the new generation in front of the former one.
 *    From here on each store key opens by its own generation, and a boot tries both.
 * 2. The servers are told to keep the new slots. The store changes its key, if all of them do so, and if no newer
 *    instance has shown itself.
 * 3. The first record under the new key is the boot record of the new lineage; the former generation leaves the file.
 * 4. Until they answer, all servers of the former lineage are asked to close it, which erases its slots.
 *
 * The caller must not check the slots while this runs.
 * @throws ProblemError ROTATION_NOT_BACKED, ROTATION_INCOMPLETE or NODE_FENCED when nothing was tried; RotationFailed,
 *   with the reason as its cause, when the former key is still in force or, with `isUndecided`, when the next opening
 *   decides which key is.
 */
export async function rotateNode(stage: BootStage, node: OpenNode): Promise<OpenNode> {
  const { parts, stopped } = stage;
  const { random } = parts.tools;
  const snapshot = await orAborted(parts.chain.snapshot(), stopped);
  const { newest, quorum } = requireBacked(stage, node, snapshot);
  const { account } = node.identity;
  await requireHolding(stage, node, snapshot);
  const storeKey = SecretBytes.adopt(random(32));
  const lineage = new Lineage(SecretBytes.adopt(random(32)));
  const hold = AccountHold.ofNewLineage(lineage, bootRandom(random), node.hold.incarnation.number + 1);
  const enrolment = await enrol(parts.tools, {
    account,
    snapshot,
    quorum,
    enrolled: newest.slots.map(({ server }) => server),
    link: {
      lineage,
      // If the node dies now, this lineage is lost: then its slots must age away.
      confirm: false,
      incarnation: hold.incarnation,
      // The log goes on under the former lineage until the key changes.
      head: () => undefined,
      observer: hold,
    },
    worthwhile: quorum.n,
    signal: stopped,
  });
  for (const { record, failure } of enrolment.failures.values()) {
    const reason = describeFailure(failure);
    parts.log('warn', 'enrolment.refused', { server: encodeSs58(record.account), reason });
  }
  try {
    if (enrolment.servers.length < quorum.n) throw tooFew(enrolment, quorum);
    return await changeKey(stage, node, { storeKey, hold, enrolment, newest, quorum, snapshot });
  } catch (error) {
    // The store may open under the new key, so its slots must stay.
    const isUndecided = error instanceof KeyUndecided;
    if (!isUndecided) {
      await restoreFile(stage, node);
      await node.older.keepLineage(node.hold.lineage.secret).catch(() => undefined);
      const left = await forgetEnrolled(stage, account, hold, enrolment, snapshot);
      await noteLeft(stage, node, hold, left);
    }
    storeKey.wipe();
    lineage.wipe();
    throw new RotationFailed(isUndecided ? error.cause : error, isUndecided);
  }
}

function requireBacked(
  { parts }: BootStage,
  { book, identity }: OpenNode,
  snapshot: ChainSnapshot,
): { readonly newest: Generation; readonly quorum: Quorum } {
  const { newest } = book;
  const { length } = eligibleServers(snapshot, { account: identity.account });
  const quorum = thresholdFor(length, parts.options);
  if (newest !== undefined && book.isComplete && quorum !== undefined) {
    if (quorum.t >= parts.options.minimumThreshold) return { newest, quorum };
  }
  throw new ProblemError('ROTATION_NOT_BACKED', 'the store key is changed only while the node is backed', {
    hint: 'wait until `latchkey status` says backed; nothing was changed',
  });
}

/**
 * A newer instance lives on the former slots, which a rotation erases. So more than n − t of their servers must have
 * taken the mark of this boot, so that no other instance can hold t of them, and no server may show a newer one.
 * @throws ProblemError NODE_FENCED, ROTATION_INCOMPLETE.
 */
async function requireHolding(
  { parts, stopped }: BootStage,
  node: OpenNode,
  snapshot: ChainSnapshot,
): Promise<void> {
  const hint = 'the former store key stays in force; `latchkey status --explain` says how the node is';
  const { newest } = node.book;
  const known = { live: newest?.n ?? 0, unknown: new Map() };
  const check = await checkSlots(parts.tools.client, node, snapshot, known, stopped);
  const newer = node.hold.overtakenBy;
  if (newer !== undefined) {
    const reason = `incarnation ${newer.number} of this node has claimed the account`;
    throw new ProblemError('NODE_FENCED', `the store key was not changed: ${reason}`, { hint });
  }
  // Each of them was shown the mark of this boot, and none of them answered with a newer one.
  const own = newestOf(node, check).filter(isLive).length;
  if (newest !== undefined && own > newest.n - newest.t) return;
  const shown = `${own} of ${newest?.n ?? 0} servers show the claim of this instance`;
  throw new ProblemError('ROTATION_INCOMPLETE', `the store key was not changed: ${shown}`, { hint });
}

const tooFew = (enrolment: Enrolment, quorum: Quorum): ProblemError =>
  new ProblemError('ROTATION_INCOMPLETE', shortfall(enrolment, quorum), {
    hint: 'the former store key stays in force; try again when all servers answer',
  });

/** What a rotation made before it changes anything that lasts. */
interface KeyChange {
  readonly storeKey: SecretBytes;
  readonly hold: AccountHold;
  readonly enrolment: Enrolment;
  readonly newest: Generation;
  readonly quorum: Quorum;
  readonly snapshot: ChainSnapshot;
}

async function changeKey(stage: BootStage, node: OpenNode, change: KeyChange): Promise<OpenNode> {
  const { parts, folder } = stage;
  const { storeKey, hold, enrolment, newest, quorum, snapshot } = change;
  const { identity, storeId, older } = node;
  const { random } = parts.tools;
  const store = { account: identity.account, storeId };
  const made = await buildGeneration(
    {
      ...store,
      storeKey,
      lineageSecret: hold.lineage.secret,
      generation: Math.max(nextGeneration(node.book.file), older.nextNumber),
      quorum,
      enrolled: enrolment.servers,
      custody: parts.custody,
    },
    random,
  );
  await older.leaveLineage(formerLineage(node));
  const disk = new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path));
  const first = firstFile(store, made);
  await disk.replace({ ...first, generations: [made, newest] });

  await keepSlots(stage, identity.account, change);
  await requireHolding(stage, node, snapshot);
  await node.sealed.rotateStoreKey(storeKey).catch((error: unknown) => {
    if (error instanceof LatchkeyError && keepFormerKey.has(error.code)) throw error;
    throw new KeyUndecided('the store did not say whether it changed its key', { cause: error });
  });
  try {
    await node.sealed.batch(bootRecords(hold.incarnation, parts.leaseMs));
    await disk.replace(first).catch((error: unknown) => {
      // The former generation no longer opens the store; the next change of the file removes it.
      parts.log('warn', 'slots.former-not-removed', { error: String(error) });
    });
    const rotated = await assembleNode(
      { store: node.sealed, storeKey, identity, hold, fenced: node.store },
      (leave) => bookOf(parts, folder.path, { storeKey, leave }, first),
    );
    for (const { slotId, key } of enrolment.servers) rotated.book.learn(slotId, key);
    return rotated;
  } catch (error) {
    throw new KeyUndecided('the store has the new key, and the node does not go on', { cause: error });
  }
}

/**
 * Has all new slots confirmed: the store key that they open is about to be in force.
 * @throws ProblemError ROTATION_INCOMPLETE.
 */
async function keepSlots(
  { parts, stopped }: BootStage,
  account: AccountId,
  { hold, enrolment, snapshot }: KeyChange,
): Promise<void> {
  const status = { confirm: true, incarnation: hold.incarnation, head: undefined, report: undefined };
  const keep = async ({ server, slotId, key, instanceId }: EnrolledServer): Promise<number> => {
    const record = snapshot.servers.find((candidate) => equalBytes(candidate.account, server));
    if (record === undefined) return 0;
    const held = { account, slotId, key, observer: hold };
    const kept = parts.tools.client.keyStatus(record, held, status, undefined, stopped);
    const present = await kept.then(
      (state) => state.instanceId,
      () => undefined,
    );
    return present !== undefined && equalBytes(present, instanceId) ? 1 : 0;
  };
  const kept = (await Promise.all(enrolment.servers.map(keep))).reduce((sum, one) => sum + one, 0);
  if (kept === enrolment.servers.length) return;
  const shown = `${kept} of ${enrolment.servers.length} servers keep their new slot`;
  throw new ProblemError('ROTATION_INCOMPLETE', `the store key was not changed: ${shown}`, {
    hint: 'the former store key stays in force; try again when all servers answer',
  });
}

/** The present lineage, as the store notes it for the time after the change, with all servers that may know of it. */
function formerLineage({ hold, book, older }: OpenNode): OldLineage {
  const entriesOf = (slots: readonly OldServer[]): readonly OldServer[] =>
    slots.map(({ server, instanceId }) => ({ server, instanceId }));
  const generations = [...(book.file?.generations ?? []), ...older.generations];
  return {
    ...boundLineage(hold),
    generations: generations.map(({ t, slots }) => ({ t, servers: entriesOf(slots) })),
  };
}

/** Puts the former keyslot file back; where that fails, a boot tries both generations. */
async function restoreFile({ parts, folder }: BootStage, { book }: OpenNode): Promise<void> {
  if (book.file === undefined) return;
  const disk = new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path));
  await disk.replace(book.file).catch((error: unknown) => {
    parts.log('warn', 'slots.former-not-restored', { error: String(error) });
  });
}

/** Has the new slots of a rotation that failed erased. @returns those that are not shown to be. */
async function forgetEnrolled(
  { parts }: BootStage,
  account: AccountId,
  hold: AccountHold,
  { servers }: Enrolment,
  snapshot: ChainSnapshot,
): Promise<readonly EnrolledServer[]> {
  const forget = async (enrolled: EnrolledServer): Promise<readonly EnrolledServer[]> => {
    const { server, slotId, key, recoveryToken } = enrolled;
    recoveryToken.wipe();
    const record = snapshot.servers.find((candidate) => equalBytes(candidate.account, server));
    if (record === undefined) return [enrolled];
    try {
      await parts.tools.client.forget(record, { account, slotId, key, observer: hold }, hold.incarnation);
      return [];
    } catch (error) {
      const reason = describeFailure(failureOf(error));
      parts.log('debug', 'slot.not-forgotten', { server: encodeSs58(server), reason });
      return [enrolled];
    } finally {
      key.wipe();
    }
  };
  return (await Promise.all(servers.map(forget))).flat();
}

/**
 * Slots that were kept do not age away, so the lineage that never came into force is closed like a former one. Only now:
 * noted before, its secret would be readable under the former store key.
 */
async function noteLeft(
  { parts }: BootStage,
  { older }: OpenNode,
  hold: AccountHold,
  left: readonly EnrolledServer[],
): Promise<void> {
  if (left.length === 0) return;
  const servers = left.map(({ server, instanceId }) => ({ server, instanceId }));
  const { secret, last } = boundLineage(hold);
  await older
    .leaveLineage({ secret, last, generations: [{ t: OPENS_NOTHING, servers }] })
    .catch((error: unknown) => parts.log('warn', 'slots.left-behind', { error: String(error) }));
}

/** A lineage as the store notes it: its secret, and the boot that shows it last. */
function boundLineage({ lineage, incarnation }: AccountHold): Pick<OldLineage, 'secret' | 'last'> {
  const { number, bootId } = incarnation;
  return {
    secret: new SecretBytes(lineage.secret.reveal()),
    last: { number, boot: copyBytes(bootId.subarray(0, BOOT_BYTES)) },
  };
}
