import { copyBytes } from '../../bytes/copy-bytes.ts';
import type { Admission, FoundLog } from '../api/admission.ts';
import { storeClosed } from '../files/disk-failure.ts';
import type { ReadLog } from './recovery.ts';

/** The caller's own may change afterwards. @throws TypeError, RangeError for a judgement that cannot be made. */
export function copyAdmission(admission: Admission): Admission {
  if (typeof admission !== 'object' || admission === null)
    throw new TypeError(`admit must be an object, got ${admission === null ? 'null' : typeof admission}`);
  const { sequences, judge } = admission;
  if (!Array.isArray(sequences)) throw new TypeError('admit.sequences must be an array of sequence numbers');
  if (typeof judge !== 'function') throw new TypeError(`admit.judge must be a function, got ${typeof judge}`);
  const own: readonly number[] = [...sequences];
  for (const sequence of own)
    if (!(Number.isSafeInteger(sequence) && sequence >= 0))
      throw new RangeError(`admit.sequences must be whole numbers from 0, got ${String(sequence)}`);
  return { sequences: own, judge: judge.bind(admission) };
}

/**
 * Shows the log to the caller's judge, when all of it is verified and before anything is changed. When the judge
 * refuses, all files are closed, and its own error comes out.
 */
export async function admit(log: ReadLog, { judge }: Pick<Admission, 'judge'>): Promise<void> {
  let isOver = false;
  try {
    await judge(foundLog(log, () => isOver));
  } catch (error) {
    isOver = true;
    await log.state.close().catch(() => undefined);
    throw error;
  }
  isOver = true;
}

const foundLog = ({ state, digests }: ReadLog, isOver: () => boolean): FoundLog => ({
  storeId: copyBytes(state.storeId),
  head: state.head(),
  digestAt: (sequence) => digests.at(sequence),
  get: async (namespace, name) => {
    if (isOver()) throw storeClosed();
    const space = state.namespaces.get(namespace);
    const location = space?.index.find(name);
    if (space === undefined || location === undefined) return undefined;
    return state.reader.valueAt(location, space, name);
  },
});
