import type { RecordLine } from './lines.ts';

/** How much may wait for the disk: enough that group commit has groups, not so much that memory grows. */
const MAX_PENDING_RECORDS = 4096;
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** Where the records come from and go to. */
export interface ImportSteps {
  /** Resolves when the record is durable. */
  store(record: RecordLine): Promise<void>;
  /** Called for each record once it is durable; the next ones wait while it does. */
  acknowledge(record: RecordLine): Promise<void>;
}

/**
 * Stores records as they come, many at once so that they share their fdatasync, and acknowledges each when it is
 * durable. On the first failure reads no further, lets what is under way finish and be acknowledged, then throws it.
 * @returns how many were stored.
 */
export async function importRecords(records: AsyncIterable<RecordLine>, steps: ImportSteps): Promise<number> {
  const pending = new Set<Promise<void>>();
  let pendingBytes = 0;
  let stored = 0;
  let wake = (): void => undefined;
  const failures: unknown[] = [];

  const start = (record: RecordLine): void => {
    const bytes = record.value.length + record.name.length;
    pendingBytes += bytes;
    const task = steps
      .store(record)
      .then(() => {
        stored++;
        return steps.acknowledge(record);
      })
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        pendingBytes -= bytes;
        pending.delete(task);
        wake();
      });
    pending.add(task);
  };

  try {
    for await (const record of records) {
      start(record);
      while (pending.size >= MAX_PENDING_RECORDS || pendingBytes >= MAX_PENDING_BYTES) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failures.length > 0) break;
    }
  } catch (error) {
    failures.unshift(error);
  }
  await Promise.all(pending);
  if (failures.length > 0) throw failures[0];
  return stored;
}
