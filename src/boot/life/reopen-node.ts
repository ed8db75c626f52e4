import { equalBytes } from '../../bytes/concat.ts';
import type { AccountId } from '../../bytes/fixed-bytes.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { LatchkeyError, RefusalError } from '../../errors/latchkey-error.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';
import type { Head } from '../../lineage/head.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { AccountHold, bootRandom } from '../node/account-hold.ts';
import { readIdentity } from '../node/identity.ts';
import { NodeFolder } from '../node/node-folder.ts';
import type { OldLineage } from '../node/older-records.ts';
import type { OpenNode } from '../node/open-node.ts';
import { RollbackCheck } from '../node/rollback-check.ts';
import { provenPart } from '../obtain/proven-part.ts';
import { type RecoveredKey, recoverStoreKey } from '../obtain/recovery.ts';
import { assembleNode, bookOf, leaseOf, openStoreOf } from './assemble-node.ts';
import type { BootStage, GuardianParts } from './boot-stage.ts';
import { neverInForce } from './cut-off-rotation.ts';

/**
 * One attempt to open a node that was there before, with what its key servers remember.
 * @returns `undefined` when too few of them gave their slot; the stage is told.
 * @throws RefusalError NODE_ACCOUNT_MISMATCH, and whatever the keyslot file, the chain or the store refuse.
 */
export async function reopenNode(stage: BootStage): Promise<OpenNode | undefined> {
  const { parts, folder } = stage;
  const file = await new KeyslotDisk(parts.fileSystem, NodeFolder.keyslotsPath(folder.path)).read();
  /** Of a generation that does not open the store. */
  let cutOff: OldLineage | undefined;
  try {
    for (let rest = file; ; ) {
      const recovered = keyOfCustodians(stage, rest) ?? (await recoverKey(stage, rest));
      if (recovered === undefined) return undefined;
      let store: SealedStore | undefined;
      const rollback = rollbackCheckOf(parts, recovered, stage.refusedBy());
      try {
        store = await openStoreOf(parts, folder.path, recovered.storeKey, rollback);
        const node = await takeOver(stage, file, store, recovered, rollback);
        if (cutOff !== undefined) node.older.leaveCutOff(cutOff);
        cutOff = undefined;
        return node;
      } catch (error) {
        await store?.close().catch(() => undefined);
        cutOff = isWrongKey(error) ? neverInForce(rest, recovered) : cutOff;
        wipeRecovered(recovered);
        stage.noteRefusal(rollback.refusedBy);
        const other = isWrongKey(error) ? fileWithout(rest, recovered.generation) : undefined;
        if (other === undefined) throw error;
        parts.log('warn', 'generation.of-another-store', { generation: recovered.generation });
        rest = other;
      }
    }
  } finally {
    cutOff?.secret.wipe();
  }
}

function keyOfCustodians({ parts, custody }: BootStage, file: KeyslotFile): RecoveredKey | undefined {
  requireAccount(parts, file.account, file.account);
  return custody.take(file);
}

/** The key of a generation opens its slots, but not the store: the host wrote it, or a rotation was cut off. */
export const isWrongKey = (error: unknown): boolean =>
  error instanceof LatchkeyError && error.code === 'STORE_WRONG_KEY';

/** The file without one of its two generations; `undefined` when it was the only one. */
export function fileWithout(file: KeyslotFile, number: number): KeyslotFile | undefined {
  const other = file.generations.find(({ generation }) => generation !== number);
  return other === undefined ? undefined : { ...file, generations: [other] };
}

/**
 * One attempt to get the store key back for a keyslot file.
 * @returns `undefined` when too few servers gave their slot; the stage is told.
 * @throws RefusalError NODE_ACCOUNT_MISMATCH, and what the chain throws.
 */
export async function recoverKey(
  { parts, stopped, report, refusedBy }: BootStage,
  file: KeyslotFile,
): Promise<RecoveredKey | undefined> {
  const { chain, tools, log, options, clockToleranceMs, maxTimeJumpMs } = parts;
  // Before the store is opened, which notes in it that it was: a foreign store is not touched at all.
  requireAccount(parts, file.account, file.account);
  const snapshot = await orAborted(chain.snapshot(), stopped);
  const { minimumThreshold } = options;
  const outcome = await recoverStoreKey(
    { ...tools, log },
    { file, snapshot, minimumThreshold, clockToleranceMs, maxTimeJumpMs, signal: stopped },
  );
  if (!outcome.ok) {
    const { have, need, slots } = outcome;
    const [{ n }] = file.generations;
    const forgot = slots.filter(({ standing }) => typeof standing !== 'string' && standing.kind === 'forgot');
    const reason = 'too few key servers gave their slot';
    const locked = { name: 'locked', account: file.account, have, need, n, slots } as const;
    if (refusedBy() === undefined) {
      const cause = slots.length > 0 && slots.length - forgot.length < need ? 'keys-lost' : 'keys-missing';
      report({ ...locked, cause, reason });
    } else {
      report({
        ...locked,
        cause: 'rolled-back',
        reason: `${reason}, and a newer store than this one was seen; custodians who gave the key have to answer a new request`,
      });
    }
    return undefined;
  }
  return outcome.recovered;
}

/**
 * Compares the store with what the servers showed; the operator may have allowed an older one.
 * @param refusedBy a head that refused the store in this process; of another lineage it does not count.
 */
export function rollbackCheckOf(
  { acceptance }: Pick<GuardianParts, 'acceptance'>,
  { lineage, states }: RecoveredKey,
  refusedBy?: Head,
): RollbackCheck {
  return new RollbackCheck(lineage, [...states, { head: refusedBy }], acceptance);
}

async function takeOver(
  { parts, folder, report }: BootStage,
  file: KeyslotFile,
  store: SealedStore,
  recovered: RecoveredKey,
  rollback: RollbackCheck,
): Promise<OpenNode> {
  const { storeKey, timeMs, lineage, states } = recovered;
  const identity = await readIdentity(store);
  try {
    // Only now: until the store opened, the generation may have been the host's.
    if (timeMs !== undefined) parts.clock.raise(timeMs - parts.clockToleranceMs);
    requireAccount(parts, identity.account, file.account);
    if (rollback.acceptedOlder !== undefined) {
      const { incarnation, sequence } = rollback.acceptedOlder;
      parts.log('warn', 'store.rollback-accepted', {
        expectedIncarnation: incarnation.number,
        expectedSequence: sequence,
      });
    }
    const hold = new AccountHold(lineage, bootRandom(parts.tools.random), rollback.lastWriter, rollback);
    for (const state of states) hold.observe(state);
    const proven = provenPart(file, storeKey);
    const lease = leaseOf(parts, false);
    const { byCustodians } = recovered;
    const parted = { store, storeKey, identity, hold, rollback, lease, byCustodians };
    const node = await assembleNode(parted, (leave) =>
      bookOf(parts, folder.path, { storeKey, leave }, proven),
    );
    for (const [slotId, key] of recovered.serverKeys) {
      const slot = node.book.slots().find((one) => toHex(one.slot.slotId) === slotId)?.slot;
      if (slot === undefined) key.wipe();
      else node.book.learn(slot.slotId, key);
    }
    const { newest } = node.book;
    const quorum = newest && { t: newest.t, n: newest.n };
    report({ name: 'unclaimed', reason: 'takes hold of its account', quorum, slots: recovered.slots });
    return node;
  } catch (error) {
    identity.accountSeed.wipe();
    throw error;
  }
}

/** Wipes the store key and all server keys. */
export function wipeRecovered({ storeKey, serverKeys, lineage }: RecoveredKey): void {
  storeKey.wipe();
  lineage.wipe();
  for (const key of serverKeys.values()) key.wipe();
}

/**
 * The account of a store, or of a keyslot file, must be that of the other, and the expected one.
 * @throws RefusalError NODE_ACCOUNT_MISMATCH.
 */
export function requireAccount(parts: GuardianParts, account: AccountId, inFile: AccountId): void {
  const expected = parts.expectedAccount ?? inFile;
  if (equalBytes(account, expected) && equalBytes(account, inFile)) return;
  throw new RefusalError('NODE_ACCOUNT_MISMATCH', 'the store is that of another account', {
    expected: encodeSs58(expected),
    observed: encodeSs58(account),
    hint: 'the store is untouched; check which disk is mounted',
  });
}
