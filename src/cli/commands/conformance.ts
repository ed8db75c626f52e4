import { Command } from 'commander';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { type CheckResult, runChecks } from '../../conformance/check.ts';
import { clientChecks } from '../../conformance/client/client-checks.ts';
import { ForeignClient } from '../../conformance/client/foreign-client.ts';
import { knownQuotes } from '../../conformance/client/known-quotes.ts';
import { runCommand } from '../../conformance/client/run-command.ts';
import { ForeignServer } from '../../conformance/foreign-server.ts';
import { knownServer } from '../../conformance/known-server.ts';
import { serverChecks } from '../../conformance/server-checks.ts';
import { exitCodes } from '../shared/failure.ts';

interface Options {
  readonly server?: string;
  readonly client?: string;
  readonly quotes: string;
  readonly account?: string;
  readonly x25519PublicKey?: string;
  readonly timeout: string;
  readonly json?: true;
}

/** How long a client may wait for one answer; told to it in its scenario. */
const ANSWER_TIMEOUT_MS = 3_000;

/** `latchkey conformance`: tries the key protocol on an implementation in another language. */
export function conformanceCommand(): Command {
  const command = new Command('conformance')
    .description('try the rules of the key protocol, good and bad, on a server or a client of another make')
    .option('--server <url>', 'the server to try; it makes keys for accounts of this run')
    .option('--client <command>', 'the client to try: a command of the shell, as docs/conformance.md says')
    .requiredOption('--quotes <url>', 'a mock-tdx whose root the server or client trusts')
    .option('--account <account>', 'account of the server (default: what its /info says)')
    .option('--x25519-public-key <hex>', 'its X25519 public key (default: what its /info says)')
    .option('--timeout <seconds>', 'how long one run of the client may take', '60')
    .option('--json', 'print one line of JSON for each rule');
  return command.action(async (options: Options) => {
    const { server, client, json = false } = options;
    if ((server === undefined) === (client === undefined)) {
      command.error('give either --server or --client');
    }
    const print = json ? printJson : printLine;
    const results = await (server === undefined
      ? tryClient(client ?? '', options, print)
      : tryServer(server, options, print));
    const skipped = results.filter((result) => result.skipped === true).length;
    const failed = results.filter(({ ok }) => !ok).length - skipped;
    if (!json) {
      const untried = skipped === 0 ? '' : `, ${skipped} skipped`;
      console.log(`${results.length - failed - skipped} of ${results.length} rules hold${untried}`);
    }
    if (failed > 0) process.exitCode = exitCodes.refused;
  });
}

type Print = (result: CheckResult) => void;

async function tryServer(server: string, options: Options, print: Print): Promise<readonly CheckResult[]> {
  const { quotes, account, x25519PublicKey } = options;
  const known = {
    ...(account === undefined ? {} : { account }),
    ...(x25519PublicKey === undefined ? {} : { x25519PublicKey }),
  };
  const reached = await knownServer(server, quotes, known);
  return runChecks(serverChecks, () => new ForeignServer(reached), print);
}

async function tryClient(command: string, options: Options, print: Print): Promise<readonly CheckResult[]> {
  const limitMs = Number(options.timeout) * 1_000;
  if (!(limitMs > 0)) throw new RangeError(`--timeout must be a number of seconds, got ${options.timeout}`);
  const known = await knownQuotes(options.quotes);
  const run = runCommand(command, limitMs);
  const client = new ForeignClient({ ...known, run, timeoutMs: ANSWER_TIMEOUT_MS });
  return runChecks(clientChecks, () => client, print);
}

const printJson: Print = (result) => console.log(JSON.stringify(result));

/** What a foreign implementation says is shown without control characters. */
const printLine: Print = ({ name, ok, skipped, reason }) => {
  if (ok) console.log(`ok      ${name}`);
  else console.log(`${skipped === true ? 'skipped' : 'FAILED '} ${name}: ${escapeControls(reason)}`);
};
