import { ProblemError } from '../errors/latchkey-error.ts';
import type { BackupSink } from '../store/api/backup-api.ts';
import type { Store } from '../store/api/store-api.ts';

/** A backup holds files that compaction would remove, so a reader that takes nothing for so long loses it. */
const STALL_MS = 60_000;

/** Stores that are being backed up now. */
const busy = new WeakSet<Store>();

/**
 * Runs a backup and streams its bytes at the speed of the reader; one backup at a time per store.
 * A failure breaks the stream off; the file says where it ends, so that a part never passes for the whole.
 * @throws ProblemError STORE_BACKUP_RUNNING, and what the backup throws before its first byte.
 */
export async function backupStream(
  store: Store,
  write: (sink: BackupSink) => Promise<unknown>,
  stallMs: number = STALL_MS,
): Promise<ReadableStream<Uint8Array>> {
  if (busy.has(store))
    throw new ProblemError('STORE_BACKUP_RUNNING', 'another backup of this store is under way', {
      hint: 'try again when it is done',
    });
  busy.add(store);
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  await new Promise<void>((begun, failed) => {
    const sink: BackupSink = async (bytes) => {
      begun();
      // What the sink is given is sealed and not used again, so it need not be copied.
      await withinTime(writer.write(bytes), stallMs);
    };
    write(sink)
      .finally(() => busy.delete(store))
      .then(
        () => writer.close(),
        async (error: unknown) => {
          failed(error);
          await writer.abort(error);
        },
      )
      // The reader has gone.
      .catch(() => undefined);
  });
  return readable;
}

async function withinTime(writing: Promise<void>, stallMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const stalled = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new ProblemError('REQUEST_TIMEOUT', `nobody read for ${stallMs} ms`)),
      stallMs,
    );
  });
  try {
    await Promise.race([writing, stalled]);
  } finally {
    clearTimeout(timer);
  }
}
