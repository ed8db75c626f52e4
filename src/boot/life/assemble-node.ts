import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import { overtakenReason } from '../node/account-hold.ts';
import { leaseOfLastWriter } from '../node/boot-record.ts';
import { type CustodyOpening, CustodyOpenings } from '../node/custody-openings.ts';
import { FencedStore } from '../node/fenced-store.ts';
import { NodeFolder } from '../node/node-folder.ts';
import { OlderGenerations } from '../node/older-generations.ts';
import { isFormerOpen } from '../node/older-records.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { RollbackCheck } from '../node/rollback-check.ts';
import { type LeaveGenerations, SlotBook } from '../node/slot-book.ts';
import { type LeasedGeneration, renewalsNeeded, WriteLease } from '../node/write-lease.ts';
import type { GuardianParts } from './boot-stage.ts';

/**
 * Opens the store of a node.
 * @param rollback judges it before anything is changed.
 */
export function openStoreOf(
  parts: GuardianParts,
  nodePath: string,
  storeKey: SecretBytes,
  rollback?: RollbackCheck,
): Promise<SealedStore> {
  const { fileSystem, tools, storeObserver: observer } = parts;
  return SealedStore.open({
    fileSystem,
    path: NodeFolder.storePath(nodePath),
    storeKey,
    random: tools.random,
    ...(observer === undefined ? {} : { observer }),
    ...(rollback === undefined
      ? {}
      : { admit: { sequences: rollback.sequences, judge: (found) => rollback.judge(found) } }),
  });
}

/**
 * The slot book of a node in a folder.
 * @param known a book of the same slots; its server keys are copied.
 */
export function bookOf(
  { fileSystem }: GuardianParts,
  nodePath: string,
  { storeKey, leave }: { readonly storeKey: SecretBytes; readonly leave: LeaveGenerations },
  file: SlotBook['file'],
  known?: SlotBook,
): SlotBook {
  const disk = new KeyslotDisk(fileSystem, NodeFolder.keyslotsPath(nodePath));
  const book = new SlotBook({ save: (changed) => disk.replace(changed), leave, storeKey, file });
  for (const { slot } of known?.slots() ?? []) {
    const key = known?.keyOf(slot.slotId);
    if (key !== undefined) book.learn(slot.slotId, key);
  }
  return book;
}

/** The parts of an open node that are made one after another. */
export type NodeParts = Pick<OpenNode, 'storeKey' | 'identity' | 'hold' | 'rollback'> & {
  readonly store: SealedStore;
  /** The fence around it, where there is one already. */
  readonly fenced?: FencedStore;
  /** The lease of this process, where there is no fence yet. */
  readonly lease?: WriteLease | undefined;
  /** How custodians gave the store key; absent when key servers did. */
  readonly byCustodians?: CustodyOpening | undefined;
};

/**
 * The lease of a process, where the trust section asks for one.
 * @param isNew whether this process makes the lineage, so that no other instance can hold.
 */
export const leaseOf = ({ leaseMs, clock }: GuardianParts, isNew: boolean): WriteLease | undefined =>
  leaseMs === undefined ? undefined : new WriteLease(leaseMs, clock, isNew);

/** The generations of which servers must show the mark of this instance while it writes. */
function leased({ file }: SlotBook, { open, lineages }: OlderGenerations): readonly LeasedGeneration[] {
  const present = (file?.generations ?? []).map(({ slots, t, n }) => ({
    slotIds: slots.map(({ slotId }) => slotId),
    needed: renewalsNeeded({ t, n }),
  }));
  const older = open.map(({ slots, t }) => ({
    slotIds: slots.map(({ slotId }) => slotId),
    needed: slots.length - t + 1,
  }));
  // A server that answers a request to close the lineage shows no mark there: it is closed, and counts no more.
  const former = lineages
    .flatMap(({ generations }) => generations.filter(isFormerOpen))
    .map(() => ({ slotIds: [], needed: 1, isFormer: true }));
  return [...present, ...older, ...former];
}

/**
 * Puts an open node together; closing it wipes all of its keys.
 * @param makeBook makes the slot book, which tells what is left behind to the node's list of it.
 */
export async function assembleNode(
  parts: NodeParts,
  makeBook: (leave: LeaveGenerations) => SlotBook,
): Promise<OpenNode> {
  const { store, storeKey, identity, hold, rollback } = parts;
  const { fenced = new FencedStore(store, hold.holds, parts.lease) } = parts;
  hold.whenOvertaken((by) => fenced.fence(overtakenReason(by)));
  const older = await OlderGenerations.open(fenced, hold.lineage.secret);
  const book = makeBook((generations) => older.leave(generations));
  older.compare(book.file);
  fenced.lease?.watch(() => leased(book, older));
  const close = async (): Promise<void> => {
    try {
      await store.close();
    } finally {
      book.wipe();
      older.wipe();
      hold.lineage.wipe();
      storeKey.wipe();
      identity.accountSeed.wipe();
    }
  };
  return {
    identity,
    store: fenced,
    sealed: store,
    storeId: store.storeId,
    storeKey,
    book,
    hold,
    byCustodians: parts.byCustodians,
    openings: await CustodyOpenings.read(fenced),
    ...(rollback === undefined ? {} : { rollback }),
    older,
    formerLeaseMs: await leaseOfLastWriter(fenced),
    close,
  };
}
