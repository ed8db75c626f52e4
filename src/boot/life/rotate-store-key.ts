import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { ErrorCode } from '../../errors/codes.ts';
import { LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { eligibleServers } from '../../keyslots/choose-servers.ts';
import { buildGeneration, firstFile, nextGeneration } from '../../keyslots/generations.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { Generation, KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { type Quorum, thresholdFor } from '../../keyslots/threshold.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { checkSlots, confirmations, isLive, newestOf } from '../heal/slot-check.ts';
import { NodeFolder } from '../node/node-folder.ts';
import type { OpenNode } from '../node/open-node.ts';
import { OwnClaim } from '../node/own-claim.ts';
import { bootRandom, OwnMarks } from '../node/own-marks.ts';
import { type DroppedSlot, SlotBook } from '../node/slot-book.ts';
import { type Enrolment, enrol, shortfall } from '../obtain/enrolment.ts';
import { describeFailure } from '../peer/peer-failure.ts';
import { assembleNode, bookOf } from './assemble-node.ts';
import type { BootStage } from './boot-stage.ts';

/** A node under its new store key, and the slots of the former key; their server keys are to be erased. */
export interface RotatedNode {
  readonly node: OpenNode;
  readonly dropped: readonly DroppedSlot[];
  readonly snapshot: ChainSnapshot;
}

/** A rotation that failed; `dropped` are the slots that it had made; their server keys are to be erased. */
export class RotationFailed extends Error {
  override readonly name = 'RotationFailed';
  readonly dropped: readonly DroppedSlot[];
  readonly snapshot: ChainSnapshot;
  /** Whether either key may be in force: the keyslot file must stay as it is until the next opening. */
  readonly isUndecided: boolean;

  constructor(cause: unknown, rest: Pick<RotationFailed, 'dropped' | 'snapshot' | 'isUndecided'>) {
    super('the rotation of the store key failed', { cause });
    this.dropped = rest.dropped;
    this.snapshot = rest.snapshot;
    this.isUndecided = rest.isUndecided;
  }
}

/** The store did not say whether it changed its key; the cause is its error. */
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
 * Changes the store key of a backed node, in an order that a crash at any step survives:
 *
 * 1. n servers give keys for a generation of the new key; the keyslot file holds it in front of the former one.
 *    From here on each store key opens by its own generation, and a boot tries both.
 * 2. Every new slot is confirmed at its server, so that none expires.
 * 3. The store changes its key, if no newer instance has claimed the account.
 * 4. The former generation leaves the file; its server keys are to be erased.
 *
 * The caller must not check the slots while this runs.
 * @throws ProblemError ROTATION_NOT_BACKED, ROTATION_INCOMPLETE or NODE_FENCED when nothing was tried; RotationFailed, with the reason as its cause, when
 *   the former key is still in force or, with `isUndecided`, when the next opening decides which key is.
 */
export async function rotateNode(stage: BootStage, node: OpenNode): Promise<RotatedNode> {
  const { parts, stopped } = stage;
  const snapshot = await orAborted(parts.chain.snapshot(), stopped);
  const { newest, quorum } = requireBacked(stage, node, snapshot);
  const { account } = node.identity;
  await requireHolding(stage, node, snapshot);
  const enrolment = await enrol(parts.tools, {
    account,
    snapshot,
    quorum,
    enrolled: newest.slots.map(({ server }) => server),
    worthwhile: quorum.n,
    signal: stopped,
  });
  for (const { record, failure } of enrolment.failures.values()) {
    const reason = describeFailure(failure);
    parts.log('warn', 'enrolment.refused', { server: encodeSs58(record.account), reason });
  }
  const storeKey = new SecretBytes(parts.tools.random(32));
  const marks = new OwnMarks(storeKey);
  try {
    if (enrolment.servers.length < quorum.n) throw tooFew(enrolment, quorum);
    const change = { storeKey, marks, enrolment, newest, quorum, snapshot };
    const rotated = await changeKey(stage, node, change);
    return { node: rotated, dropped: heldSlots(node, account), snapshot };
  } catch (error) {
    // The store may open under the new key, so its slots must stay.
    const isUndecided = error instanceof KeyUndecided;
    if (!isUndecided) await restoreFile(stage, node);
    storeKey.wipe();
    marks.wipe();
    const dropped = isUndecided ? [] : enrolledSlots(enrolment, account);
    throw new RotationFailed(isUndecided ? error.cause : error, { dropped, snapshot, isUndecided });
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
 * A newer instance lives on the former slots, which a rotation has erased. So more than n − t of their servers must show
 * the claim of this boot, so that no other instance can hold t of them, and no server may show a newer claim.
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
  if (check.newerNumber > 0) {
    const reason = `incarnation ${check.newerNumber} of this node has claimed the account`;
    throw new ProblemError('NODE_FENCED', `the store key was not changed: ${reason}`, { hint });
  }
  const own = newestOf(node, check).filter(({ claim }) => claim === 'own').length;
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
  readonly marks: OwnMarks;
  readonly enrolment: Enrolment;
  readonly newest: Generation;
  readonly quorum: Quorum;
  readonly snapshot: ChainSnapshot;
}

async function changeKey(stage: BootStage, node: OpenNode, change: KeyChange): Promise<OpenNode> {
  const { parts, folder, stopped } = stage;
  const { storeKey, marks, enrolment, newest, quorum, snapshot } = change;
  const { identity, storeId } = node;
  const { random, client } = parts.tools;
  const store = { account: identity.account, storeId };
  const made = await buildGeneration(
    { ...store, storeKey, generation: nextGeneration(node.book.file), quorum, enrolled: enrolment.servers },
    random,
  );
  const disk = new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path));
  const withFormer = (file: KeyslotFile): KeyslotFile => ({
    ...file,
    generations: [file.generations[0], newest],
  });
  const first = firstFile(store, made);
  const book = new SlotBook({ save: (file) => disk.replace(withFormer(file)), storeKey, file: first });
  for (const { slotId, key } of enrolment.servers) book.learn(slotId, key);
  await disk.replace(withFormer(first));

  const claim = new OwnClaim(marks, node.claim.current.number + 1, bootRandom(random));
  const candidate = { ...node, storeKey, book, marks, claim };
  const known = { live: quorum.n, unknown: new Map() };
  const check = await checkSlots(client, candidate, snapshot, known, stopped);
  if (!check.checked.every(isLive)) {
    const silent = check.checked.filter((slot) => !isLive(slot)).length;
    throw new ProblemError(
      'ROTATION_INCOMPLETE',
      `${silent} of ${quorum.n} servers did not confirm their slot`,
      {
        hint: 'the former store key stays in force; try again when all servers answer',
      },
    );
  }
  await book.note(confirmations(check), []);

  await requireHolding(stage, node, snapshot);
  await node.sealed.rotateStoreKey(storeKey).catch((error: unknown) => {
    if (error instanceof LatchkeyError && keepFormerKey.has(error.code)) throw error;
    throw new KeyUndecided('the store did not say whether it changed its key', { cause: error });
  });

  const final = bookOf(parts, folder.path, storeKey, book.file, book);
  const file = final.file;
  if (file !== undefined) {
    await disk.replace(file).catch((error: unknown) => {
      // The former generation no longer opens the store; the next change of the file removes it.
      parts.log('warn', 'slots.former-not-removed', { error: String(error) });
    });
  }
  return assembleNode({ ...candidate, book: final, store: node.sealed, fenced: node.store });
}

/** Puts the former keyslot file back; where that fails, a boot tries both generations. */
async function restoreFile({ parts, folder }: BootStage, { book }: OpenNode): Promise<void> {
  if (book.file === undefined) return;
  const disk = new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path));
  await disk.replace(book.file).catch((error: unknown) => {
    parts.log('warn', 'slots.former-not-restored', { error: String(error) });
  });
}

/** The slots for which the node knows the server key. */
function heldSlots({ book }: OpenNode, account: AccountId): readonly DroppedSlot[] {
  return book.slots().flatMap(({ slot: { server, slotId } }) => {
    const key = book.keyOf(slotId);
    return key === undefined ? [] : [{ server, account, slotId, key }];
  });
}

const enrolledSlots = ({ servers }: Enrolment, account: AccountId): readonly DroppedSlot[] =>
  servers.map(({ server, slotId, key }) => ({ server, account, slotId, key }));
