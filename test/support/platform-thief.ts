import { runKeyRound } from '../../src/boot/obtain/key-round.ts';
import { PeerClient } from '../../src/boot/peer/peer-client.ts';
import { equalBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import type { KeyslotFile } from '../../src/keyslots/keyslot-file.ts';
import type { Intent } from '../../src/protocol/report-data.ts';
import type { SimulatedNetwork } from './simulated-network.ts';

/** The result of a theft: how many keys of the newest generation came, and why the others did not. */
export interface Loot {
  readonly keys: number;
  readonly refusals: readonly string[];
}

/**
 * A thief with a victim's disk, the network and the attestation key of one platform asks every server of the newest
 * generation for its key. The attestation key signs whatever measurement the thief likes.
 */
export async function stealKeys(
  { world, records }: SimulatedNetwork,
  { account, generations: [newest] }: KeyslotFile,
  platform: number,
  intent: Intent = 'recover',
): Promise<Loot> {
  const { clock, pki, wire, body } = world;
  const client = new PeerClient({
    transport: wire.transportFrom('thief'),
    clock,
    random: (length) => world.dice.bytes(length),
    deadlineMs: 5_000,
  });
  const quotes = {
    quote: async (reportData: Uint8Array) => {
      const quote = pki.quote({ reportData, platform, body });
      world.genuineQuotes.set(Buffer.from(quote).toString('base64'), 'thief');
      return quote;
    },
  };
  const targets = newest.slots.flatMap(({ server, slotId, recoveryToken }) => {
    const peer = [...records.values()].find((record) => equalBytes(record.account, server));
    return peer === undefined ? [] : [{ peer, slotId, recoveryToken }];
  });
  const keys = new Set<string>();
  const refusals: string[] = [];
  const round = runKeyRound(
    { client, quotes, clock },
    {
      account,
      intent,
      targets,
      quorum: targets.length,
      signal: new AbortController().signal,
      onResult: ({ slotId }, result) => {
        if (result.ok) keys.add(toHex(slotId));
        else refusals.push('code' in result.failure ? result.failure.code : result.failure.kind);
      },
    },
  );
  await clock.until(round);
  return { keys: keys.size, refusals };
}
