import { type Command, InvalidArgumentError, Option } from 'commander';
import { AccountId } from '../../../bytes/fixed-bytes.ts';
import { encodeSs58 } from '../../../bytes/ss58.ts';
import { ProblemError } from '../../../errors/latchkey-error.ts';
import { planRestarts, type RestartPlan } from '../../../restarts/restart-plan.ts';
import { exitCodes } from '../../shared/failure.ts';
import { planLines } from './plan-lines.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

interface FleetStatusOptions {
  readonly serversOf?: string;
  readonly gone: readonly string[];
  readonly timeoutMs: number;
  readonly json?: true;
}

/** `latchkey fleet status`: the state of several nodes, and which may be restarted now. */
export function addStatus(parent: Command): void {
  parent
    .command('status [nodes...]')
    .description(
      'ask nodes by the URL of their open port, or by their configuration on this machine; say which may be restarted now',
    )
    .option('--servers-of <config>', 'ask every server that the chain of this configuration shows, too')
    .addOption(
      new Option(
        '--gone <account>',
        'account of a node that was taken away for good: do not wait for its answer; may be given again',
      )
        .default([], 'none')
        .argParser(accounts),
    )
    .addOption(
      new Option('--timeout-ms <n>', 'for one request').default(DEFAULT_TIMEOUT_MS).argParser(milliseconds),
    )
    .option('--json', 'print JSON')
    .action(status);
}

async function status(given: readonly string[], options: FleetStatusOptions): Promise<void> {
  const { serversOf, gone, timeoutMs, json } = options;
  if (given.length === 0 && serversOf === undefined)
    throw new ProblemError('CONFIG_INVALID', 'no node was named', {
      hint: 'name nodes by URL or configuration, or give --servers-of with a configuration',
    });
  // Needs a chain view and a log, which other commands of the group do without.
  const { askNodes, targetsOf } = await import('./ask-nodes.ts');
  const asked = await askNodes(await targetsOf(given, serversOf), { fetch: globalThis.fetch, timeoutMs });
  const plan = planRestarts(asked, { gone: new Set(gone) });
  if (json) console.log(JSON.stringify({ askedAt: new Date().toISOString(), ...plan }));
  else for (const line of planLines(plan)) console.log(line);
  process.exitCode = exitCodeOf(plan);
}

/** 0: all ready; 1: a node is not ready; 2: a node gave no answer. */
function exitCodeOf({ nodes }: RestartPlan): number {
  if (nodes.some(({ answer }) => 'silent' in answer)) return exitCodes.failed;
  const isReady = nodes.every(({ answer }) => 'ready' in answer && answer.ready);
  return isReady ? exitCodes.ok : exitCodes.refused;
}

/** Accounts as nodes write them, whatever their form on the command line was. */
function accounts(text: string, before: readonly string[]): readonly string[] {
  try {
    return [...before, encodeSs58(AccountId.parse(text, 'account'))];
  } catch {
    throw new InvalidArgumentError('must be an account: SS58, or 0x and 64 hex digits');
  }
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= 1 && value <= 600_000) return value;
  throw new InvalidArgumentError('must be a whole number of milliseconds, at most 600000');
}
