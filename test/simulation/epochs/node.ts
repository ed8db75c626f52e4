import { toHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { Dealer } from '../../../src/epochs/dealer.ts';
import type { Round } from '../../../src/epochs/dkg-scheme.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import type { FeldmanScheme } from '../../../src/epochs/feldman/feldman-scheme.ts';
import { Player } from '../../../src/epochs/player.ts';
import { concludeRound, recordLog } from '../../../src/epochs/round-logs.ts';
import type { Store } from '../../../src/store/api/store-api.ts';
import type { Dice } from '../../support/disk-dice.ts';
import type { SimulatedProcess } from './process.ts';
import { BLOCK_MS, EPOCH_BLOCKS, type Message, type World } from './world.ts';

interface NodeParts {
  readonly world: World;
  readonly process: SimulatedProcess;
  readonly member: number;
  readonly scheme: FeldmanScheme;
  readonly journal: EpochJournal;
  /** Seeds of new epochs: another after each restart, so that a seed that were not kept would show. */
  readonly dice: Dice;
}

/** A node's main loop in one life; ends only by being killed or by throwing. */
export async function runNode(
  world: World,
  process: SimulatedProcess,
  member: number,
  store: Store,
  dice: Dice,
  onJournal: (journal: EpochJournal) => void,
): Promise<void> {
  const scheme = world.schemes[member];
  if (scheme === undefined) throw new RangeError(`no member ${member}`);
  const journal = await EpochJournal.open(store);
  const parts = { world, process, member, scheme, journal, dice };
  auditRestart(parts);
  if (journal.current() === undefined) await journal.commitEpoch(0, { round: 0, rngSeed: newSeed(dice) });
  onJournal(journal);
  for (;;) await runEpoch(parts);
}

const newSeed = (dice: Dice): SecretBytes => new SecretBytes(dice.bytes(32));

/** Every ack that ever left this node must have its dealing in the journal that it starts with. */
function auditRestart({ world, scheme, journal }: NodeParts): void {
  const from = journal.prunedBelow;
  for (const { epoch, dealer } of world.acksSentBy(scheme.self.publicKey, from)) {
    const kept = journal.dealing(epoch, new Uint8Array(Buffer.from(dealer, 'hex')));
    if (kept === undefined)
      world.violations.push(
        `${toHex(scheme.self.publicKey)} lost a dealing of ${epoch} that it acknowledged`,
      );
  }
}

async function runEpoch(parts: NodeParts): Promise<void> {
  const { world, process, member, scheme, journal, dice } = parts;
  const current = journal.current();
  if (current === undefined) throw new Error('no epoch');
  world.entered(current.number, current.round, current.output);
  const members = world.schemes.map(({ self }) => self);
  const round: Round = {
    network: 'simulation',
    epoch: current.number,
    round: current.round,
    dealers: members,
    players: members,
    ...(current.output === undefined ? {} : { previous: current.output }),
  };
  const membership = { journal, scheme, round };
  const dealer = await Dealer.create(membership);
  const player = await Player.create(membership);
  world.receivers.set(member, (from, message) => {
    if (!process.alive || message.epoch !== round.epoch) return;
    receive(parts, round, dealer, player, from, message).catch((error: unknown) => panic(parts, error));
  });
  await followChain(parts, round, dealer);
  const result = await concludeRound(membership);
  const next =
    result === undefined
      ? { round: current.round, ...(await unchanged(journal, current.number, current.output)) }
      : { round: current.round + 1, ...result };
  await journal.commitEpoch(current.number + 1, { ...next, rngSeed: newSeed(dice) });
  await journal.prune(current.number);
}

/** A failed round leaves the output and the share as they were. */
async function unchanged(journal: EpochJournal, epoch: number, output: Uint8Array | undefined) {
  const share = await journal.secrets.getShare(epoch);
  return { ...(output === undefined ? {} : { output }), ...(share === undefined ? {} : { share }) };
}

async function receive(
  { world, scheme }: NodeParts,
  round: Round,
  dealer: Dealer | undefined,
  player: Player | undefined,
  from: Uint8Array,
  message: Message,
): Promise<void> {
  const self = scheme.self.publicKey;
  if (message.kind === 'ack') {
    const verdict = await dealer?.handle(message.player, message.ack);
    if (verdict === 'fault') world.violations.push(`invalid ack from ${toHex(from)}`);
    return;
  }
  const answer = await player?.handle(message.dealer, message.publicMessage, message.sealed);
  if (answer?.verdict === 'fault')
    world.violations.push(`dealing of ${toHex(from)} is at fault: ${answer.reason}`);
  if (answer?.verdict === 'valid')
    world.send(self, from, { kind: 'ack', epoch: round.epoch, player: self, ack: answer.ack });
}

/** A storage failure ends the process; what it had not acknowledged it never will. */
function panic({ process }: NodeParts, error: unknown): void {
  if (error instanceof TypeError || error instanceof RangeError) throw error;
  process.kill();
}

/** Deals, and reads the epoch's blocks; those from before a restart are read again and change nothing. */
async function followChain(parts: NodeParts, round: Round, dealer: Dealer | undefined): Promise<void> {
  const { world, process, scheme, journal } = parts;
  const first = round.epoch * EPOCH_BLOCKS;
  let height = first;
  while (height < first + EPOCH_BLOCKS) {
    const block = world.blocks[height];
    if (block === undefined) {
      for (const { player, publicMessage, sealed } of dealer?.sharesToDistribute() ?? []) {
        const dealing = { kind: 'dealing', epoch: round.epoch, dealer: scheme.self.publicKey } as const;
        world.send(scheme.self.publicKey, player, { ...dealing, publicMessage, sealed });
      }
      await process.sleep(BLOCK_MS / 2);
      continue;
    }
    for (const { epoch, dealer: by, log } of block) {
      if (epoch === round.epoch) await recordLog({ journal, scheme, round }, by, log);
    }
    height += 1;
    if (height >= first + EPOCH_BLOCKS / 2) dealer?.finalize();
    const log = dealer?.takeFinalized();
    if (log !== undefined) world.submit({ epoch: round.epoch, dealer: scheme.self.publicKey, log });
  }
}
