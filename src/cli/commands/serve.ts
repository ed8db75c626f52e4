import { Command } from 'commander';
import { readSecrets } from '../../config/secrets.ts';
import { LatchkeyNode } from '../../node/latchkey-node.ts';
import { buildParts } from '../../node/parts.ts';
import { exitCodes, textOfBug } from '../shared/failure.ts';
import {
  acceptRolledBackOption,
  configFile,
  insecureRootOption,
  type OpeningOptions,
  type RootOptions,
  readConfig,
  readTrustRoot,
} from '../shared/node-options.ts';
import { watchProcess } from '../shared/process-faults.ts';
import { terminationSignal } from '../shared/termination-signal.ts';

/** `latchkey serve`: key server for the others and guardian of its own store, until it is told to stop. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('run a node: guard its own store, serve keys to its peers')
    .requiredOption('--config <file>', 'configuration file (latchkey config init prints one)', configFile)
    .addOption(insecureRootOption())
    .addOption(acceptRolledBackOption())
    .action(async (options: { readonly config: string } & RootOptions & OpeningOptions) => {
      const config = await readConfig(options.config);
      const secrets = await readSecrets(config);
      const trustRoot = await readTrustRoot(options);
      const parts = buildParts(config, trustRoot === undefined ? {} : { trustRoot });
      const broken = watchProcess((fault, error) => {
        parts.metrics.processFaults.inc({ fault });
        if (fault !== 'output') parts.log('error', `process.${fault}`, { error: textOfBug(error) });
      }).then(() => {
        process.exitCode = exitCodes.failed;
      });
      const node = new LatchkeyNode(config, parts, { ...options, secrets });
      await node.start();
      await Promise.race([terminationSignal(), broken]);
      await node.close();
    });
}
