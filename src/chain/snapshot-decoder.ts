import { equalBytes } from '../bytes/concat.ts';
import type { BlockHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { ChainSnapshot } from './chain-view.ts';
import { decodeSnapshot } from './decode-snapshot.ts';
import type { Entries } from './proof/proof-memory.ts';
import { recordDecoders } from './record-decoders.ts';
import { provenLayout } from './runtime-releases.ts';

/** The proven values of one block; `undefined` where the chain stores nothing. */
export interface ProvenValues {
  readonly lastRuntimeUpgrade: Uint8Array | undefined;
  /** At the key of the releases in which the measurements are no map. */
  readonly plainMeasurements: Uint8Array | undefined;
  readonly validators: Uint8Array | undefined;
  readonly signers: Uint8Array | undefined;
  readonly now: Uint8Array | undefined;
  readonly acceptedMeasurements: Uint8Array | undefined;
  readonly thresholdServers: Entries;
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : equalBytes(a, b);

/** Whether two states differ in nothing except the time. The entries must be the same list, as the proof's memory has it. */
const isSameContent = (a: ProvenValues, b: ProvenValues): boolean =>
  a.thresholdServers === b.thresholdServers &&
  isSame(a.lastRuntimeUpgrade, b.lastRuntimeUpgrade) &&
  isSame(a.plainMeasurements, b.plainMeasurements) &&
  isSame(a.validators, b.validators) &&
  isSame(a.signers, b.signers) &&
  isSame(a.acceptedMeasurements, b.acceptedMeasurements);

/**
 * Decodes proven values. Where only the time has changed since the snapshot before, the new one has the same lists of
 * servers and measurements, not copies of them.
 */
export class SnapshotDecoder {
  #last: { readonly values: ProvenValues; readonly snapshot: ChainSnapshot } | undefined;

  /** @throws ProblemError CHAIN_SHAPE_UNKNOWN. */
  decode(
    genesisHash: BlockHash,
    { hash, number }: { readonly number: number; readonly hash: BlockHash },
    values: ProvenValues,
  ): ChainSnapshot {
    const last = this.#last;
    const isKnown =
      last !== undefined &&
      equalBytes(last.snapshot.genesisHash, genesisHash) &&
      isSameContent(last.values, values);
    const { acceptedMeasurements, lastRuntimeUpgrade, now, plainMeasurements, signers, validators } = values;
    const hasPlainMeasurements = plainMeasurements !== undefined;
    const decoders = recordDecoders(provenLayout({ lastRuntimeUpgrade, hasPlainMeasurements }));
    const snapshot = decodeSnapshot(
      genesisHash,
      { number, hash },
      decoders,
      {
        validators,
        signers,
        now,
        acceptedMeasurements,
        thresholdServers: isKnown
          ? []
          : values.thresholdServers.map(([key, bytes]) => [toPrefixedHex(key), bytes] as const),
      },
      'all',
    );
    this.#last = { values, snapshot: isKnown ? { ...last.snapshot, block: snapshot.block } : snapshot };
    return this.#last.snapshot;
  }
}
