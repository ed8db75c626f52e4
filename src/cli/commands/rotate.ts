import { Command } from 'commander';
import { agentProblem, askAgent, isErrorCode, readAgentJson } from '../../client/agent-connection.ts';
import type { Config } from '../../config/schema.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { systemClock } from '../../time/clock.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

/** Between two questions, in milliseconds. */
const POLL_MS = 500;

const warning =
  'The store gets a new key, and its key servers new slots. What the former key opens stays readable to whoever has\n' +
  'that key: older backups and older copies of the disk. Keys from `latchkey unlock --derive` are derived from the\n' +
  'store key and CHANGE: open such volumes first, and give them the new key afterwards.';

interface RotateOptions extends ConfigOptions {
  readonly yes?: true;
  readonly json?: true;
}

/** `latchkey rotate`: a new store key for a running, backed node. */
export function rotateCommand(): Command {
  return addConfigOption(new Command('rotate'), 'configuration file of the running node')
    .description(
      'change the store key of a running node; exit 0 when its servers hold the slots of the new key',
    )
    .option('--yes', 'do it; without this only say what it means')
    .option('--json', 'print JSON')
    .action(rotate);
}

async function rotate(options: RotateOptions): Promise<void> {
  const config = await readConfig(options.config);
  if (options.yes !== true) {
    console.log(`${warning}\nNothing was changed; say --yes to change the key.`);
    process.exitCode = exitCodes.refused;
    return;
  }
  await ask(config, '/rotation', 'PUT');
  const generation = await untilDone(config);
  await untilBacked(config, generation);
  console.log(
    options.json === true
      ? JSON.stringify({ rotated: true, generation })
      : `the store has a new key; its slots are generation ${generation}. Back it up again.`,
  );
}

async function ask(
  config: Config,
  path: string,
  method: 'GET' | 'PUT' = 'GET',
): Promise<Record<string, unknown>> {
  const answer = await askAgent(agentSocketOf(config), path, { quietMs: 30_000, method });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  return readAgentJson(answer);
}

/** @throws ProblemError with the code of the rotation that failed. */
async function untilDone(config: Config): Promise<number> {
  for (;;) {
    const standing = await ask(config, '/rotation');
    if (standing['state'] === 'done') return Number(standing['generation']);
    if (standing['state'] !== 'running') throw rotationFailure(standing);
    await systemClock.sleep(POLL_MS);
  }
}

/**
 * What became of a change that did not end well. The node says itself where the former key is in force for certain: after a
 * failure of its disk, or a restart, either key may be.
 * @param standing answer of `GET /rotation`, neither done nor running.
 */
export function rotationFailure({ state, code, detail }: Readonly<Record<string, unknown>>): ProblemError {
  const hint =
    '`latchkey status --explain` says how the node is; until it is backed again, do not rely on a backup of before';
  if (state !== 'failed')
    return new ProblemError('INTERNAL', 'the node was restarted while it changed its store key', { hint });
  return new ProblemError(
    isErrorCode(code) ? code : 'INTERNAL',
    `the change of the store key failed: ${String(detail)}`,
    { hint },
  );
}

/** The slots were confirmed before the key changed; this waits until the node has checked them again. */
async function untilBacked(config: Config, generation: number): Promise<void> {
  for (;;) {
    const status = await ask(config, '/status');
    if (status['state'] === 'backed' && Number(status['generation']) >= generation) return;
    if (status['state'] === 'fenced' || status['state'] === 'locked') {
      throw new ProblemError('NODE_LOCKED', `the node is ${status['summary']}`);
    }
    await systemClock.sleep(POLL_MS);
  }
}
