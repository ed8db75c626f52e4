import { request } from 'node:http';
import { Command } from 'commander';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { defaultAgentSocket } from '../../node/agent.ts';
import { exitCodes } from '../failure.ts';
import { configFile, readConfig } from '../node-options.ts';

interface StatusOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly explain?: boolean;
}

/** `latchkey status`: state, servers and slots of the node that runs under a configuration. */
export function statusCommand(): Command {
  return new Command('status')
    .description('show state, servers and slots of a running node')
    .requiredOption('--config <file>', 'configuration file of the running node', configFile)
    .option('--json', 'print JSON')
    .option('--explain', 'say what has to happen')
    .action(status);
}

async function status(options: StatusOptions): Promise<void> {
  const config = await readConfig(options.config);
  const socketPath = config.agent.socketPath ?? defaultAgentSocket(config.node.dataFolder);
  const report = await ask(socketPath, '/status');
  process.exitCode = report['ready'] === true ? exitCodes.ok : exitCodes.failed;
  if (options.json === true) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`${report['accountId'] ?? 'no account yet'}  ${report['summary']}`);
  const slots = Array.isArray(report['slots']) ? report['slots'] : [];
  for (const slot of slots) console.log(`  ${slot.server}  ${slot.endpoint ?? '-'}  ${slot.standing}`);
  if (Number(report['waitingForFormerClients'] ?? 0) > 0) {
    console.log(`  waiting for ${report['waitingForFormerClients']} former clients to enrol again`);
  }
  if (Number(report['clientsAtRisk'] ?? 0) > 0) {
    console.log(
      `  ${report['clientsAtRisk']} stores would fall below their threshold if this node stopped now`,
    );
  }
  if (options.explain === true) console.log(`\n${report['explanation']}`);
}

/** Asks the agent on its Unix socket, which `fetch` cannot reach. */
function ask(socketPath: string, path: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, timeout: 10_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
    });
    asking.on('error', (cause) => {
      reject(
        new ProblemError('NODE_UNREACHABLE', `no node answers on ${socketPath}: ${cause.message}`, {
          hint: 'is `latchkey serve` running with this configuration?',
          cause,
        }),
      );
    });
    asking.on('timeout', () => asking.destroy(new Error('no answer within 10 s')));
    asking.end();
  });
}
