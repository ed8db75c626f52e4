// A node in one round of a distributed key generation: it acknowledges, is killed, and acknowledges the same again.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Dealer, EpochJournal, FeldmanScheme, Player } from 'latchkey/epochs';
import { SealedStore, SecretBytes } from 'latchkey/store';

const secret = (): SecretBytes => new SecretBytes(randomBytes(32));

/** Runs the example in a folder of its own. @returns the lines that it prints. */
export async function epochsExample(): Promise<readonly string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-epochs-'));
  const place = { path: join(folder, 'store'), storeKey: secret() };
  const scheme = new FeldmanScheme(secret());
  const members = [scheme.self];
  const round = { network: 'example', epoch: 1, round: 0, dealers: members, players: members };
  try {
    const store = await SealedStore.create(place);
    const journal = await EpochJournal.open(store);
    await journal.commitEpoch(1, { round: 0, rngSeed: secret() });
    const dealer = await Dealer.create({ journal, scheme, round });
    const [part] = dealer?.sharesToDistribute() ?? [];
    if (part === undefined) return ['nothing to deal'];
    const deliver = async (player: Player | undefined) =>
      player?.handle(scheme.self.publicKey, part.publicMessage, part.sealed);
    const first = await deliver(await Player.create({ journal, scheme, round }));
    await store.close();

    await using reopened = await SealedStore.open(place);
    const replayed = await EpochJournal.open(reopened);
    const second = await deliver(await Player.create({ journal: replayed, scheme, round }));
    const same = JSON.stringify(first) === JSON.stringify(second);
    return [`first answer: ${first?.verdict}`, `after the restart: ${same ? 'the same ack' : 'another ack'}`];
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.filename === process.argv[1]) for (const line of await epochsExample()) console.log(line);
