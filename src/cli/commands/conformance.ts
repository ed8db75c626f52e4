import { Command } from 'commander';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { type CheckResult, runChecks } from '../../conformance/check.ts';
import { ForeignServer } from '../../conformance/foreign-server.ts';
import { knownServer } from '../../conformance/known-server.ts';
import { serverChecks } from '../../conformance/server-checks.ts';
import { exitCodes } from '../shared/failure.ts';

interface Options {
  readonly server: string;
  readonly quotes: string;
  readonly account?: string;
  readonly x25519PublicKey?: string;
  readonly json?: true;
}

/** `latchkey conformance`: tries the key protocol on an implementation in another language. */
export function conformanceCommand(): Command {
  return new Command('conformance')
    .description('try the rules of the key protocol, good and bad, on a server of another make')
    .requiredOption('--server <url>', 'the server to try; it makes keys for accounts of this run')
    .requiredOption('--quotes <url>', 'a mock-tdx whose root the server trusts')
    .option('--account <account>', 'account of the server (default: what its /info says)')
    .option('--x25519-public-key <hex>', 'its X25519 public key (default: what its /info says)')
    .option('--json', 'print one line of JSON for each rule')
    .action(async (options: Options) => {
      const { server, quotes, account, x25519PublicKey, json = false } = options;
      const known = {
        ...(account === undefined ? {} : { account }),
        ...(x25519PublicKey === undefined ? {} : { x25519PublicKey }),
      };
      const reached = await knownServer(server, quotes, known);
      const print = json ? printJson : printLine;
      const results = await runChecks(serverChecks, () => new ForeignServer(reached), print);
      const failed = results.filter(({ ok }) => !ok).length;
      if (!json) console.log(`${results.length - failed} of ${results.length} rules hold`);
      if (failed > 0) process.exitCode = exitCodes.refused;
    });
}

const printJson = (result: CheckResult): void => console.log(JSON.stringify(result));

/** What a foreign implementation says is shown without control characters. */
const printLine = ({ name, ok, reason }: CheckResult): void =>
  console.log(ok ? `ok      ${name}` : `FAILED  ${name}: ${escapeControls(reason)}`);
