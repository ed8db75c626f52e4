import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { Ed25519Signer } from '../src/crypto/ed25519.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { XCHACHA_NONCE_BYTES, xchacha20Poly1305Seal } from '../src/crypto/xchacha20-poly1305.ts';
import { nodeFileSystem } from '../src/disk/node-file-system.ts';
import type { Round } from '../src/epochs/dkg-scheme.ts';
import { EpochJournal } from '../src/epochs/epoch-journal.ts';
import { participantName } from '../src/epochs/epoch-names.ts';
import { FeldmanScheme } from '../src/epochs/feldman/feldman-scheme.ts';
import { Player } from '../src/epochs/player.ts';
import { SealedStore } from '../src/store/sealed-store.ts';
import { type Bench, type Measured, percentile, type Report, summarize } from './harness.ts';

const MILLISECONDS = Number(process.env['LATCHKEY_BENCH_MS'] ?? 4500);
/** Short ones: the time of an fdatasync changes by a factor of eight from one second to another. */
const TURNS = 15;
const DEALERS = 64;
const REPLAYED = 10_000;
const PLAYED_EPOCHS = 50;
/** Before them, for the compiler; a node runs for weeks. */
const WARM_EPOCHS = 30;
/** A public message of a round of 64: 43 elements and a signature. */
const PUBLIC_BYTES = 43 * 32 + 64;
/** The benchmark puts all dealings into few epochs, as making a namespace is not what it measures. */
const options = { maxParticipants: 10_000_000 };

const randomSecret = (): SecretBytes => new SecretBytes(systemRandom(32));
const dealing = () => ({ publicMessage: systemRandom(PUBLIC_BYTES), privateMessage: randomSecret() });

async function newStore(
  folder: string,
): Promise<{ readonly store: SealedStore; readonly storeKey: SecretBytes }> {
  const storeKey = randomSecret();
  return { store: await SealedStore.create({ path: folder, storeKey }), storeKey };
}

/** Appends from several dealers in parallel; each sends its next dealing after the ack of the previous one. */
async function appendAndSign(journal: EpochJournal, dealers: number): Promise<Measured> {
  const scheme = new FeldmanScheme(randomSecret());
  const members = [scheme.self];
  const round: Round = { network: 'bench', epoch: 0, round: 0, dealers: members, players: members };
  const durations: number[] = [];
  const start = performance.now();
  const deal = async (): Promise<void> => {
    while (performance.now() - start < MILLISECONDS / TURNS) {
      const before = performance.now();
      const mine = dealing();
      await journal.appendDealing(0, systemRandom(32), mine);
      scheme.signAck(round, scheme.self.publicKey, mine.publicMessage);
      durations.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: dealers }, deal));
  return summarize(durations, performance.now() - start);
}

/**
 * The floor, one after the other: what no journal of this kind can do without. One Ed25519 signature, both halves
 * sealed, and as many bytes as they take written and synced.
 */
async function bareWork(folder: string): Promise<Measured> {
  const file = await nodeFileSystem.open(join(folder, 'bare'), 'create');
  const signer = new Ed25519Signer(systemRandom(32));
  const key = systemRandom(32);
  const durations: number[] = [];
  const start = performance.now();
  let at = 0;
  while (performance.now() - start < MILLISECONDS / TURNS) {
    const before = performance.now();
    const message = systemRandom(PUBLIC_BYTES);
    const nonce = systemRandom(XCHACHA_NONCE_BYTES);
    const sealed = [message, systemRandom(64)].map((half) => xchacha20Poly1305Seal(key, nonce, nonce, half));
    await file.write(sealed, at);
    await file.sync();
    signer.sign(message);
    at += PUBLIC_BYTES + 64;
    durations.push(performance.now() - before);
  }
  await file.close();
  rmSync(join(folder, 'bare'));
  return summarize(durations, performance.now() - start);
}

/** The bare floor: as many bytes written and synced, and nothing else. */
async function bareWrites(folder: string): Promise<Measured> {
  const file = await nodeFileSystem.open(join(folder, 'writes'), 'create');
  const bytes = systemRandom(PUBLIC_BYTES + 64);
  const durations: number[] = [];
  const start = performance.now();
  for (let at = 0; performance.now() - start < MILLISECONDS / TURNS; at += bytes.length) {
    const before = performance.now();
    await file.write([bytes], at);
    await file.sync();
    durations.push(performance.now() - before);
  }
  await file.close();
  rmSync(join(folder, 'writes'));
  return summarize(durations, performance.now() - start);
}

const middle = (runs: readonly Measured[]): Measured =>
  [...runs].sort((a, b) => a.opsPerSecond - b.opsPerSecond)[Math.floor(runs.length / 2)] ?? summarize([], 0);

/** The median of the ratios of each turn. */
const medianRatio = (runs: readonly Measured[], floors: readonly Measured[], what: keyof Measured): number =>
  percentile(
    runs.map((run, turn) => run[what] / (floors[turn]?.[what] ?? Number.NaN)),
    0.5,
  );

/** In turns with the floors, so that a slow second of the machine affects both. */
async function appends(folder: string, report: Report): Promise<void> {
  const { store } = await newStore(join(folder, 'appends'));
  const journal = await EpochJournal.open(store, options);
  await journal.appendDealing(0, systemRandom(32), dealing());
  const runs = {
    bare: [] as Measured[],
    floor: [] as Measured[],
    one: [] as Measured[],
    many: [] as Measured[],
  };
  for (let turn = 0; turn < TURNS; turn++) {
    runs.bare.push(await bareWrites(folder));
    runs.floor.push(await bareWork(folder));
    runs.one.push(await appendAndSign(journal, 1));
    runs.many.push(await appendAndSign(journal, DEALERS));
  }
  await store.close();
  const [bare, floor] = [middle(runs.bare), middle(runs.floor)];
  const [one, many] = [middle(runs.one), middle(runs.many)];
  report.result('bare floor: write and fdatasync, in sequence', bare);
  report.result('floor: sign, seal, write and fdatasync, in sequence', floor);
  report.result('dealing appended and acknowledged, 1 dealer', one);
  report.result(`dealing appended and acknowledged, ${DEALERS} dealers`, many);
  for (const [name, floors] of [
    ['the bare floor', runs.bare],
    ['the floor', runs.floor],
  ] as const) {
    report.ratio(
      `1 dealer: time of an acknowledged dealing, to ${name}`,
      medianRatio(runs.one, floors, 'p50Ms'),
    );
    report.ratio(
      `${DEALERS} dealers: acknowledged dealings per second, to ${name}`,
      medianRatio(runs.many, floors, 'opsPerSecond'),
    );
  }
}

/** Whole answers of a player in rounds of four, Feldman's checks included; and the checks and the ack alone. */
async function playerAnswers(folder: string, report: Report): Promise<void> {
  const { store } = await newStore(join(folder, 'player'));
  const journal = await EpochJournal.open(store, options);
  const schemes = Array.from({ length: 4 }, () => new FeldmanScheme(randomSecret()));
  const members = schemes.map(({ self }) => self);
  const [me] = schemes;
  if (me === undefined) return;
  const [durations, checks]: [number[], number[]] = [[], []];
  for (let epoch = 0; epoch < WARM_EPOCHS + PLAYED_EPOCHS; epoch++) {
    const round: Round = { network: 'bench', epoch, round: 0, dealers: members, players: members };
    const player = await Player.create({ journal, scheme: me, round });
    const deals = schemes.map((scheme) => ({ scheme, deal: scheme.deal(round, randomSecret()) }));
    for (const { scheme, deal } of deals) {
      const sealed = deal.sealed.get(participantName(me.self.publicKey));
      if (sealed === undefined) continue;
      // A round of its own, as the scheme remembers what it has checked.
      const fresh = { ...round };
      const start = performance.now();
      me.open(fresh, scheme.self.publicKey, deal.publicMessage, sealed)?.wipe();
      me.signAck(fresh, scheme.self.publicKey, deal.publicMessage);
      const checked = performance.now();
      await player?.handle(scheme.self.publicKey, deal.publicMessage, sealed);
      if (epoch < WARM_EPOCHS) continue;
      checks.push(checked - start);
      durations.push(performance.now() - checked);
    }
  }
  await store.close();
  const sum = (each: readonly number[]): number => each.reduce((total, one) => total + one, 0);
  report.result('player of 4: checks and ack alone, in memory', summarize(checks, sum(checks)));
  report.result('player of 4: dealing checked, appended, acknowledged', summarize(durations, sum(durations)));
}

async function replay(folder: string, report: Report): Promise<void> {
  const path = join(folder, 'replay');
  const { store, storeKey } = await newStore(path);
  const journal = await EpochJournal.open(store, options);
  await Promise.all(
    Array.from({ length: REPLAYED }, () => journal.appendDealing(0, systemRandom(32), dealing())),
  );
  await store.close();
  const durations: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const before = performance.now();
    const again = await SealedStore.open({ path, storeKey });
    const replayed = await EpochJournal.open(again, options);
    durations.push(performance.now() - before);
    if (replayed.dealings(0).length !== REPLAYED) throw new Error('the journal came back incomplete');
    await again.close();
  }
  const total = durations.reduce((sum, each) => sum + each, 0);
  const perDealing = summarize(durations, total);
  report.result(`replay of ${REPLAYED} dealings, both halves, per dealing`, {
    opsPerSecond: (REPLAYED * TURNS * 1000) / total,
    p50Ms: perDealing.p50Ms / REPLAYED,
    p99Ms: perDealing.p99Ms / REPLAYED,
  });
}

/** The epoch journal: dealings per second with one and with 64 dealers, a player's whole answer, replay. */
export const bench: Bench = {
  name: 'epochs',
  async run(report) {
    const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-epochs-'));
    try {
      await appends(folder, report);
      await playerAnswers(folder, report);
      await replay(folder, report);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
