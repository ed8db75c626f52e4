import type { ChainSnapshot, ChainView } from '../../src/chain/chain-view.ts';

/** A chain whose blocks are made by number; the endpoints still have the state of those for which `isKept` holds. */
export const boundaryChain = (
  snapshotAt: (number: number) => ChainSnapshot,
  isKept: (number: number) => boolean = () => true,
): ChainView => ({
  snapshot: async () => snapshotAt(0),
  snapshotAt: async (number) => {
    if (!isKept(number)) throw new Error('state already discarded');
    return snapshotAt(number);
  },
  subscribe: () => () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
});
