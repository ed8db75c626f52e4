import { toHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { EpochJournal } from './epoch-journal.ts';
import { encodeEvent, encodePublicState, eventKinds } from './epoch-record.ts';
import { RecordWriter } from './record-codec.ts';

/**
 * SHA-256, as hex, over everything public in a journal in a fixed order: two nodes, or two runs, with the
 * same records have the same digest.
 */
export function stateDigest(journal: EpochJournal): string {
  const writer = new RecordWriter().u64(journal.prunedBelow);
  writer.option(journal.current(), (inner, current) => {
    inner.u64(current.number).fixed(encodePublicState(current));
  });
  const readers = {
    dealing: (epoch: number) => journal.dealings(epoch),
    ack: (epoch: number) => journal.acks(epoch),
    log: (epoch: number) => journal.logs(epoch),
    evidence: (epoch: number) => journal.evidence(epoch),
  };
  for (const epoch of journal.epochs()) {
    writer.u64(epoch);
    for (const kind of eventKinds) {
      for (const entry of readers[kind](epoch)) writer.bytes(encodeEvent({ kind, ...entry }));
    }
  }
  return toHex(sha256(writer.finish()));
}
