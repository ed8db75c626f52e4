import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import type { Admission } from '../../src/store/api/admission.ts';
import type { LogHead } from '../../src/store/api/log-head.ts';

/**
 * Admits a log only when it contains a head that was taken before; what compaction has taken of it counts as contained.
 * @returns a judgement that throws EvidenceError STORE_ROLLED_BACK.
 */
export const containing = (head: LogHead): Admission => ({
  sequences: [head.sequence],
  judge: (found) => {
    const digest = found.digestAt(head.sequence);
    const isBehind = found.head.generation < head.generation || found.head.sequence < head.sequence;
    if (!isBehind && (digest === undefined || Buffer.compare(digest, head.digest) === 0)) return;
    throw new EvidenceError('STORE_ROLLED_BACK', 'the log does not contain the head');
  },
});
