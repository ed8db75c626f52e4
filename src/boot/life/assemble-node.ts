import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import type { FormerSlots } from '../heal/former-slots.ts';
import { FencedStore } from '../node/fenced-store.ts';
import { NodeFolder } from '../node/node-folder.ts';
import type { OpenNode } from '../node/open-node.ts';
import { OwnMarks } from '../node/own-marks.ts';
import { SlotBook } from '../node/slot-book.ts';
import type { RecoveredKey } from '../obtain/recovery.ts';
import type { GuardianParts } from './boot-stage.ts';

/**
 * Opens the store of a node.
 * @param recovered what the servers said of it: the store must not be older than the head that they remember.
 */
export function openStoreOf(
  parts: GuardianParts,
  nodePath: string,
  storeKey: SecretBytes,
  recovered?: RecoveredKey,
): Promise<SealedStore> {
  const { fileSystem, tools, acceptRolledBackStore = false, log, storeObserver: observer } = parts;
  const head = recovered?.head;
  if (acceptRolledBackStore && head !== undefined) {
    const { generation, sequence } = head;
    log('warn', 'store.rollback-accepted', { expectedGeneration: generation, expectedSequence: sequence });
  }
  return SealedStore.open({
    fileSystem,
    path: NodeFolder.storePath(nodePath),
    storeKey,
    random: tools.random,
    ...(observer === undefined ? {} : { observer }),
    ...(head === undefined
      ? {}
      : {
          expectedHead: { ...head, digest: OwnMarks.digestPart(head) },
          acceptOlderHead: acceptRolledBackStore,
        }),
  });
}

/**
 * The slot book of a node in a folder.
 * @param known a book of the same slots; its server keys are copied.
 */
export function bookOf(
  { fileSystem }: GuardianParts,
  nodePath: string,
  storeKey: SecretBytes,
  file: SlotBook['file'],
  known?: SlotBook,
): SlotBook {
  const disk = new KeyslotDisk(fileSystem, NodeFolder.keyslotsPath(nodePath));
  const book = new SlotBook({ save: (changed) => disk.replace(changed), storeKey, file });
  for (const { slot } of known?.slots() ?? []) {
    const key = known?.keyOf(slot.slotId);
    if (key !== undefined) book.learn(slot.slotId, key);
  }
  return book;
}

/** Puts an open node together; closing it wipes all of its keys. */
export function assembleNode(
  parts: Pick<OpenNode, 'storeKey' | 'identity' | 'book' | 'marks' | 'claim'> & {
    readonly store: SealedStore;
    readonly former?: FormerSlots;
    /** The fence around it, where there is one already. */
    readonly fenced?: FencedStore;
  },
): OpenNode {
  const { store, storeKey, identity, book, marks, claim, former } = parts;
  const close = async (): Promise<void> => {
    try {
      await store.close();
    } finally {
      book.wipe();
      former?.wipe();
      marks.wipe();
      storeKey.wipe();
      identity.accountSeed.wipe();
    }
  };
  const { fenced = new FencedStore(store) } = parts;
  return {
    identity,
    store: fenced,
    sealed: store,
    storeId: store.storeId,
    storeKey,
    book,
    marks,
    claim,
    ...(former === undefined ? {} : { former }),
    close,
  };
}
