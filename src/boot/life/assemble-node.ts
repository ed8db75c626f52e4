import { equalBytes } from '../../bytes/concat.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import type { Head } from '../../protocol/mac-routes.ts';
import type { FoundLog } from '../../store/api/admission.ts';
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
    ...(head === undefined || acceptRolledBackStore
      ? {}
      : { admit: { sequences: [head.sequence], judge: (found) => requireHead(found, head) } }),
  });
}

/** The log must contain the head that the servers remember. @throws EvidenceError STORE_ROLLED_BACK. */
function requireHead(found: FoundLog, expected: Head): void {
  const { generation, sequence } = found.head;
  const isBehind = generation < expected.generation || sequence < expected.sequence;
  const part = OwnMarks.digestPart(expected);
  const digest = found.digestAt(expected.sequence);
  // Where compaction has taken the part that the head lies in, its digest is gone; but a log of this generation that
  // goes further can only be a continuation.
  const isContained = digest === undefined || equalBytes(digest.subarray(0, part.length), part);
  if (!isBehind && isContained) return;
  throw new EvidenceError(
    'STORE_ROLLED_BACK',
    isBehind
      ? 'the store on this disk is older than the last head that was deposited'
      : 'the log on this disk does not contain the last head that was deposited',
    {
      expected: `generation ${expected.generation}, at least sequence ${expected.sequence}`,
      observed: `generation ${generation}, sequence ${sequence}`,
      hint: 'the host may have put back an old disk; restoring a backup on purpose needs an explicit override',
    },
  );
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
