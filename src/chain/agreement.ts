import { equalBytes, utf8 } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { sha256 } from '../crypto/sha2.ts';
import type { ChainSnapshot } from './chain-view.ts';

const contentParts = (snapshot: ChainSnapshot): unknown[] => [
  toHex(snapshot.genesisHash),
  snapshot.undecodableRecords,
  snapshot.acceptedMeasurements.map(toHex),
  snapshot.servers.map((server) => [
    toHex(server.stash),
    toHex(server.account),
    toHex(server.x25519PublicKey),
    server.endpoint,
    toHex(sha256(server.quote)),
    server.active,
    server.signer,
  ]),
];

const digest = (parts: unknown): string => toHex(sha256(utf8(JSON.stringify(parts))));

/** Equal for two snapshots exactly when their servers and measurements are equal; the block may differ. */
export const contentFingerprint = (snapshot: ChainSnapshot): string => digest(contentParts(snapshot));

/** Whether two snapshots have the same lists, and so equal fingerprints of their contents; others may have those too. */
export const sharesContent = (a: ChainSnapshot, b: ChainSnapshot): boolean =>
  a.servers === b.servers &&
  a.acceptedMeasurements === b.acceptedMeasurements &&
  a.undecodableRecords === b.undecodableRecords &&
  equalBytes(a.genesisHash, b.genesisHash);

/** Equal for two snapshots exactly when their contents and their block are equal. */
export const snapshotFingerprint = (snapshot: ChainSnapshot): string =>
  digest([
    snapshot.block.number,
    toHex(snapshot.block.hash),
    snapshot.block.timestampMs ?? null,
    contentParts(snapshot),
  ]);

/** The result of asking several endpoints. */
export type AgreementOutcome =
  | { readonly agreed: true; readonly snapshot: ChainSnapshot }
  | {
      readonly agreed: false;
      readonly answers: number;
      readonly versions: number;
      readonly failures: unknown[];
    };

/**
 * Waits until `needed` of the reads say the same, and no other version can still reach that number; a slow endpoint
 * is not waited for when it cannot change the outcome. Two versions that both reach it are no agreement.
 */
export async function agree(
  reads: readonly Promise<ChainSnapshot>[],
  needed: number,
): Promise<AgreementOutcome> {
  const votes = new Map<string, { readonly snapshot: ChainSnapshot; count: number }>();
  const failures: unknown[] = [];
  let pending = reads.length;
  return await new Promise<AgreementOutcome>((resolve) => {
    const settle = (): void => {
      const [first, second] = [...votes.values()].sort((a, b) => b.count - a.count);
      const rivalCanReach = (second?.count ?? 0) + pending >= needed;
      if (first !== undefined && first.count >= needed && !rivalCanReach) {
        resolve({ agreed: true, snapshot: first.snapshot });
      } else if (pending === 0) {
        const answers = reads.length - failures.length;
        resolve({ agreed: false, answers, versions: votes.size, failures });
      }
    };
    settle();
    for (const read of reads) {
      read
        .then(
          (snapshot) => {
            const key = snapshotFingerprint(snapshot);
            const vote = votes.get(key);
            if (vote === undefined) votes.set(key, { snapshot, count: 1 });
            else vote.count += 1;
          },
          (error: unknown) => failures.push(error),
        )
        .finally(() => {
          pending -= 1;
          settle();
        });
    }
  });
}
