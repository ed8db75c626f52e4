import { Command } from 'commander';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { EpochJournal } from '../../epochs/epoch-journal.ts';
import { EpochNames } from '../../epochs/epoch-names.ts';
import { stateDigest } from '../../epochs/state-digest.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Store } from '../../store/api/store-api.ts';
import { print, processIo, type StoreIo } from '../store/io.ts';
import { type PlaceOptions, placeCommand, withStore } from '../store/session.ts';

interface JournalOptions extends PlaceOptions {
  readonly journal: string;
}

/** The line of `latchkey epochs list` about one epoch: counts, no secret. */
interface EpochSummary {
  readonly epoch: number;
  readonly current: boolean;
  /** Whether its state was committed; messages may arrive before. */
  readonly committed: boolean;
  readonly dealings: number;
  readonly acks: number;
  readonly logs: number;
  readonly evidence: number;
  readonly share: boolean;
  readonly seed: boolean;
}

/** `latchkey epochs`: shows the DKG journals in a store, and prunes them. */
export function epochsCommand(io: StoreIo = processIo()): Command {
  const epochs = new Command('epochs').description('epochs of a distributed key generation');
  journalCommand(epochs, 'list', 'print the epochs, with counts').action((options: JournalOptions) =>
    withJournal(options, (journal) => list(journal, options, io)),
  );
  journalCommand(epochs, 'show <epoch>', 'print who dealt, acknowledged and logged in one epoch').action(
    (epoch: string, options: JournalOptions) =>
      withJournal(options, (journal) => show(journal, numberOf(epoch, 'epoch'), options, io)),
  );
  journalCommand(epochs, 'prune', 'erase all epochs below one, with their secrets, for good')
    .requiredOption('--below <epoch>', 'the oldest epoch that stays')
    .option('--yes', 'do it; without this, only say what would go')
    .action((options: JournalOptions & { readonly below: string; readonly yes?: true }) =>
      withJournal(options, (journal) => prune(journal, options, io)),
    );
  return epochs;
}

const journalCommand = (parent: Command, usage: string, description: string): Command =>
  placeCommand(parent, usage, description).option('--journal <name>', 'name of the journal', 'dkg');

function withJournal(options: JournalOptions, task: (journal: EpochJournal) => Promise<void>): Promise<void> {
  return withStore(options, async (store) => task(await existingJournal(store, options.journal)));
}

/** Opens an existing journal; a command that reads must not create one. */
async function existingJournal(store: Store, name: string): Promise<EpochJournal> {
  const valid = /^[a-z0-9_-]{1,64}$/.test(name);
  if (valid && store.hasNamespace(new EpochNames(name).states)) return EpochJournal.open(store, { name });
  throw new EvidenceError('EPOCH_JOURNAL_NOT_FOUND', `the store has no journal ${name}`, {
    field: 'journal',
    hint: 'journals are the names between the slashes of `epochs/NAME/states`',
  });
}

function numberOf(text: string, field: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new EvidenceError('FIELD_INVALID', `${field} must be a whole number from 0, got ${text}`, { field });
}

async function list(journal: EpochJournal, options: JournalOptions, io: StoreIo): Promise<void> {
  const epochs = [...new Set([...journal.committed(), ...journal.epochs()])].sort((a, b) => a - b);
  const rows = await Promise.all(epochs.map((epoch) => summary(journal, epoch)));
  const { prunedBelow } = journal;
  const digest = stateDigest(journal);
  if (options.json) {
    const current = journal.current()?.number;
    return print(
      io.stdout,
      `${JSON.stringify({ journal: options.journal, current, prunedBelow, digest, epochs: rows })}\n`,
    );
  }
  const lines = rows.map((row) => {
    const marks = [row.current ? 'current' : '', row.share ? 'share' : '', row.seed ? 'seed' : ''];
    const counts = `dealings ${row.dealings}  acks ${row.acks}  logs ${row.logs}  evidence ${row.evidence}`;
    return `epoch ${String(row.epoch).padStart(6)}  ${counts}  ${marks.filter(Boolean).join(', ')}`.trimEnd();
  });
  await print(io.stdout, [...lines, `pruned below ${prunedBelow}`, `digest ${digest}`, ''].join('\n'));
}

async function summary(journal: EpochJournal, epoch: number): Promise<EpochSummary> {
  const share = await journal.secrets.getShare(epoch);
  const seed = await journal.secrets.getSeed(epoch);
  share?.scalar.wipe();
  seed?.wipe();
  return {
    epoch,
    current: journal.current()?.number === epoch,
    committed: journal.committed().includes(epoch),
    dealings: journal.dealings(epoch).length,
    acks: journal.acks(epoch).length,
    logs: journal.logs(epoch).length,
    evidence: journal.evidence(epoch).length,
    share: share !== undefined,
    seed: seed !== undefined,
  };
}

async function show(
  journal: EpochJournal,
  epoch: number,
  options: JournalOptions,
  io: StoreIo,
): Promise<void> {
  const names = (entries: readonly { readonly participant: Uint8Array }[]): string[] =>
    entries.map(({ participant }) => toPrefixedHex(participant));
  const found = {
    dealings: names(journal.dealings(epoch)),
    acks: names(journal.acks(epoch)),
    logs: names(journal.logs(epoch)),
    evidence: names(journal.evidence(epoch)),
  };
  if (options.json) return print(io.stdout, `${JSON.stringify({ epoch, ...found })}\n`);
  const lines = Object.entries(found).flatMap(([kind, keys]) => [kind, ...keys.map((key) => `  ${key}`)]);
  await print(io.stdout, `${lines.join('\n')}\n`);
}

async function prune(
  journal: EpochJournal,
  options: JournalOptions & { readonly below: string; readonly yes?: true },
  io: StoreIo,
): Promise<void> {
  const min = numberOf(options.below, 'below');
  const going = journal.committed().filter((epoch) => epoch < min);
  if (options.yes) await journal.prune(min);
  const pruned = options.yes === true;
  if (options.json) return print(io.stdout, `${JSON.stringify({ pruned, epochs: going })}\n`);
  const what = going.length === 0 ? 'nothing' : `epochs ${going.join(', ')}`;
  await print(io.stdout, pruned ? `erased ${what}\n` : `would erase ${what}; say --yes to do it\n`);
}
