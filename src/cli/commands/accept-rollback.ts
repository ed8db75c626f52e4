import { Command } from 'commander';
import { agentProblem, askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

const warning =
  'The running node goes on from the store that it refused as an older one. What was written after that store is lost.\n' +
  'Do this only after a restore of your own: else the host has put back an old disk, and the newest one has to come back.';

interface AcceptOptions extends ConfigOptions {
  readonly yes?: true;
}

/** `latchkey accept-rollback`: `serve --accept-rolled-back-store` for a node that runs, and keeps its store key. */
export function acceptRollbackCommand(): Command {
  return addConfigOption(new Command('accept-rollback'), 'configuration file of the running node')
    .description('let a running node go on from a store that is older than what its key servers remember')
    .option('--yes', 'do it; without this only say what would be lost')
    .action(acceptRollback);
}

async function acceptRollback(options: AcceptOptions): Promise<void> {
  const config = await readConfig(options.config);
  const method = options.yes === true ? 'PUT' : 'GET';
  const answer = await askAgent(agentSocketOf(config), '/rollback/acceptance', { quietMs: 30_000, method });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  const { incarnation, sequence, storeIncarnation, storeSequence } = await readAgentJson(answer);
  if (options.yes !== true) {
    console.log(
      `${warning}\n` +
        `The store on this disk: incarnation ${storeIncarnation}, sequence ${storeSequence}.\n` +
        `What a key server remembers: incarnation ${incarnation}, sequence ${sequence}.\n` +
        'Nothing was changed; say --yes to lose what lies between the two.',
    );
    process.exitCode = exitCodes.refused;
    return;
  }
  console.log(
    `accepted: what was written after this store, up to incarnation ${incarnation}, sequence ${sequence}, is lost`,
  );
}
