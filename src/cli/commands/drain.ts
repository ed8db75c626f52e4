import { Command, InvalidArgumentError, Option } from 'commander';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { systemClock } from '../../time/clock.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import {
  askDrain,
  changeNote,
  type DrainStanding,
  drainLines,
  hasHandedOver,
  waitUntilFree,
} from '../shared/drain-wait.ts';
import { exitCodes } from '../shared/failure.ts';
import { processIo } from '../store/io.ts';
import { startProgress } from '../store/progress.ts';

/** A plain key is of a program that knows no other server; its owner gets ten minutes to erase it. */
const UNMOVABLE_DEADLINE_MS = 600_000;
/** The ring moves records at a bounded rate; half an hour is enough for a store of some GiB. */
const RING_DEADLINE_MS = 1_800_000;

interface DrainOptions extends ConfigOptions {
  readonly wait?: true;
  readonly deadlineMs?: number;
  readonly unmovableDeadlineMs: number;
  readonly ringDeadlineMs: number;
  readonly cancel?: true;
  readonly json?: true;
}

/** `latchkey drain`: asks the clients of a running node to move to other servers, before the node is stopped. */
export function drainCommand(): Command {
  return addConfigOption(new Command('drain'), 'configuration file of the running node')
    .description('ask the clients of a running node to move to other key servers, before a planned stop')
    .option('--wait', 'wait until neither clients nor the ring need the node any more')
    .addOption(
      new Option('--deadline-ms <n>', 'wait no longer than this; draining goes on').argParser(milliseconds),
    )
    .addOption(
      new Option(
        '--unmovable-deadline-ms <n>',
        'wait no longer than this for accounts that cannot move, once all others have',
      )
        .default(UNMOVABLE_DEADLINE_MS)
        .argParser(milliseconds),
    )
    .addOption(
      new Option(
        '--ring-deadline-ms <n>',
        'wait no longer than this until the other members of the ring have the records of the node, once all clients have moved',
      )
        .default(RING_DEADLINE_MS)
        .argParser(milliseconds),
    )
    .addOption(new Option('--cancel', 'end the drain').conflicts(['wait', 'deadlineMs']))
    .option('--json', 'print JSON')
    .action(drain);
}

async function drain(options: DrainOptions): Promise<void> {
  const socketPath = agentSocketOf(await readConfig(options.config));
  if (options.cancel) {
    show(await askDrain(socketPath, 'DELETE'), options);
    return;
  }
  const begun = await askDrain(socketPath, 'PUT');
  const isWaiting = options.wait === true || options.deadlineMs !== undefined;
  const standing = isWaiting ? await wait(socketPath, options) : begun;
  show(standing, options);
  process.exitCode = standing.remaining === 0 && hasHandedOver(standing) ? exitCodes.ok : exitCodes.refused;
}

async function wait(
  socketPath: string,
  { deadlineMs, unmovableDeadlineMs, ringDeadlineMs }: DrainOptions,
): Promise<DrainStanding> {
  const io = processIo();
  const note = changeNote((line) => io.stderr.write(`${line}\n`));
  const clients = startProgress(io, 'draining (Ctrl-C ends the waiting only): moved', 'clients');
  const records = startProgress(io, 'draining: the other members of the ring have not all of', 'records');
  try {
    return await waitUntilFree(() => askDrain(socketPath, 'GET'), {
      clock: systemClock,
      deadlineMs,
      unmovableDeadlineMs,
      ringDeadlineMs,
      onStanding(standing) {
        // A log has no line that counts.
        if (!io.terminal.stderr) note(standing);
        const { moved, remaining, ring } = standing;
        if (remaining > 0 || ring === undefined || hasHandedOver(standing))
          return clients.update(moved, moved + remaining);
        clients.end();
        records.update(ring.records);
      },
    });
  } finally {
    clients.end();
    records.end();
  }
}

function show(standing: DrainStanding, { json }: DrainOptions): void {
  if (json) console.log(JSON.stringify(standing));
  else for (const line of drainLines(standing)) console.log(escapeControls(line));
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('must be a whole number of milliseconds');
}
