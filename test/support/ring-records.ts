import { concatBytes } from '../../src/bytes/concat.ts';
import { RecordId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { readU64BigEndian, u64BigEndian } from '../../src/bytes/integers.ts';
import { sha256 } from '../../src/crypto/sha2.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import {
  CONTESTED,
  emptyLedger,
  type KeptMark,
  type Ledger,
  type MarkClaim,
  type MarkStore,
  type RecordFormat,
  type ReplicaStore,
  type RingEntry,
} from '../../src/ring/replication/entry.ts';

const OWNER = new Uint8Array(32).fill(0x5e);
const BODY_BYTES = 32 + 8 + 8 + 8;

/** A record of the simulation, which its owner authenticates with a key that no node has. */
export function ringRecord(
  id: Uint8Array,
  version: number,
  expiresAtMs: number,
  isDeleted = false,
): Uint8Array {
  const flags = u64BigEndian(isDeleted ? 1 : 0);
  const body = concatBytes(id, u64BigEndian(version), u64BigEndian(expiresAtMs), flags);
  return concatBytes(body, sha256(OWNER, body));
}

/** Version of a record, negative for a tombstone. */
export function versionOf({ bytes }: Pick<RingEntry, 'bytes'>): number {
  const version = Number(readU64BigEndian(bytes, 32));
  return readU64BigEndian(bytes, 48) === 1n ? -version : version;
}

/** Reads records of {@link ringRecord}; everything else is forged. */
export const ringFormat: RecordFormat = {
  read(bytes) {
    const body = bytes.subarray(0, BODY_BYTES);
    if (toHex(bytes.subarray(BODY_BYTES)) !== toHex(sha256(OWNER, body)) || bytes.length !== BODY_BYTES + 32)
      throw new EvidenceError('SECRET_SIGNATURE_INVALID', 'forged');
    return {
      id: RecordId.of(body.subarray(0, 32)),
      order: concatBytes(body.subarray(32, 40), body.subarray(48)),
      expiresAtMs: Number(readU64BigEndian(body, 40)),
      bytes,
    };
  },
};

/** Marks on a disk that survives a crash of its node; as `StoredMarks`, without bounds. */
export class MemoryMarks implements MarkStore {
  readonly claimed = new Map<string, KeptMark>();

  async claim(claim: MarkClaim, _from: string, nowMs: number): Promise<string> {
    const kept = this.claimed.get(claim.mark) ?? { ...claim, atMs: nowMs };
    this.claimed.set(claim.mark, kept);
    return kept.attempt;
  }

  async kept(): ReturnType<MarkStore['kept']> {
    return { marks: [...this.claimed.values()], upTo: '' };
  }

  async take(mark: KeptMark): Promise<void> {
    const { attempt = mark.attempt } = this.claimed.get(mark.mark) ?? {};
    this.claimed.set(mark.mark, { ...mark, attempt: attempt === mark.attempt ? attempt : CONTESTED });
  }
}

/** A disk that survives a crash of its node. */
export class MemoryReplicaStore implements ReplicaStore {
  readonly records = new Map<string, Uint8Array>();
  #ledger: Ledger = emptyLedger;

  async get(id: string): Promise<Uint8Array | undefined> {
    return this.records.get(id);
  }

  async put(id: string, bytes: Uint8Array): Promise<void> {
    this.records.set(id, bytes);
  }

  async delete(id: string): Promise<void> {
    this.records.delete(id);
  }

  async *entries(): AsyncIterable<Uint8Array> {
    yield* this.records.values();
  }

  async readLedger(): Promise<Ledger> {
    return this.#ledger;
  }

  async writeLedger(ledger: Ledger): Promise<void> {
    this.#ledger = ledger;
  }
}
