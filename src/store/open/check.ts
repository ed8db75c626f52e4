import { LatchkeyError } from '../../errors/latchkey-error.ts';
import type { LogHead } from '../api/log-head.ts';
import { Breather } from '../breather.ts';
import type { StoreState } from '../store-state.ts';
import { type RecoverySource, readStore } from './recovery.ts';

/** One problem of a store. */
export interface StoreProblem {
  readonly code: string;
  readonly message: string;
  /** File and place, where there is one. */
  readonly place: string | undefined;
}

/** The result of a check. */
export interface CheckReport {
  readonly isSound: boolean;
  readonly problems: readonly StoreProblem[];
  /** Bytes of an unfinished last write, which opening would cut off; harmless. */
  readonly tornBytes: number;
  readonly namespaces: number;
  readonly records: number;
  /** `undefined` when the log could not be read to its end. */
  readonly head: LogHead | undefined;
}

/** Converts an error into a problem of a report. */
export const problemOf = ({ code, message, field }: LatchkeyError): StoreProblem => ({
  code,
  message,
  place: field,
});

/**
 * Verifies every frame of a store and opens every live record, without changing anything. The first fault of the log
 * ends it; faults of single records are all listed.
 */
export async function checkStore(source: RecoverySource): Promise<CheckReport> {
  try {
    const { state, tornBytes } = await readStore({ ...source, ignoresCheckpoint: true }, undefined);
    try {
      const problems = await checkRecords(state);
      const spaces = [...state.namespaces.all()];
      return {
        isSound: problems.length === 0,
        problems,
        tornBytes,
        namespaces: spaces.length,
        records: spaces.reduce((sum, { index }) => sum + index.size, 0),
        head: state.head(),
      };
    } finally {
      await state.close().catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.family === 'problem') throw error;
    const problems = [problemOf(error)];
    return { isSound: false, problems, tornBytes: 0, namespaces: 0, records: 0, head: undefined };
  }
}

async function checkRecords(state: StoreState): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  const breather = new Breather();
  for (const space of state.namespaces.all()) {
    for (const entry of space.index.entries()) {
      await breather.pause();
      try {
        state.reader.valueAt(entry, space, entry.name);
      } catch (error) {
        if (!(error instanceof LatchkeyError) || error.family === 'problem') throw error;
        problems.push(problemOf(error));
      }
    }
  }
  return problems;
}
