import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import type { ChainSnapshot } from '../../chain/chain-view.ts';
import type { Generation, KeyslotFile } from '../../keyslots/keyslot-file.ts';
import { openLineageSecret } from '../../keyslots/slot-seal.ts';
import { Lineage } from '../../lineage/lineage.ts';
import type { LineageState } from '../../protocol/lineage-state.ts';
import { type SweepTools, sweepFor } from '../heal/take-hold.ts';

/** A store that is still closed, and a key that opens it. */
interface ClosedStore extends SweepTools {
  readonly file: KeyslotFile;
  readonly generation: Generation;
  readonly storeKey: SecretBytes;
  readonly snapshot: ChainSnapshot;
  readonly signal: AbortSignal;
}

/**
 * What the servers on the chain know of a store before it is opened, within the bounds of a sweep: with keys lost, a single
 * server may be the last one that knows its newest head.
 */
export async function knownOfStore({
  file,
  generation: { generation, lineage: sealed, slots },
  storeKey,
  snapshot,
  signal,
  ...tools
}: ClosedStore): Promise<readonly LineageState[]> {
  const secret = openLineageSecret(storeKey, { ...file, generation }, sealed);
  if (secret === undefined) return [];
  const lineage = new Lineage(secret);
  const states: LineageState[] = [];
  const observe = (state: LineageState | undefined): void => {
    if (state !== undefined) states.push(state);
  };
  const holders = slots.map(({ server }) => server);
  try {
    await sweepFor(tools, { lineage, observe }, { account: file.account, holders }, snapshot, signal);
  } finally {
    lineage.wipe();
  }
  return states;
}
