import { Command } from 'commander';
import { explain, type NodeState, stateToJson, summarize } from '../../boot/node/node-state.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { deriveKey } from '../../crypto/hkdf.ts';
import {
  addOpeningOptions,
  attemptsOption,
  type OpeningOptions,
  readConfig,
  requireMeasuredEnvironment,
} from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';
import { oneShotNode } from '../shared/one-shot-node.ts';

/** Where keys for other tools are derived from the store key. */
const DERIVE_LABEL = 'latchkey/v1/derive/';

interface UnlockOptions extends OpeningOptions {
  readonly derive?: string;
  readonly attempts: number;
  readonly json?: boolean;
}

/** `latchkey unlock`: gets the store key back from the key servers once, and opens the store. */
export function unlockCommand(): Command {
  return addOpeningOptions(new Command('unlock'))
    .description('get the store key back once; exit 0 when the store opens, 2 while it stays locked')
    .addOption(attemptsOption())
    .option('--derive <label>', 'print HKDF(store key, label) as hex, for another tool such as cryptsetup')
    .option('--json', 'print JSON')
    .action(unlock);
}

/** What to do when the store did not open: unlike a node, this command has ended. */
const adviceAfter = (state: NodeState): string =>
  state.name === 'unclaimed'
    ? 'The key servers gave the store key, and too few of them showed the mark of this command. The store is closed again and took no writes. Bring key servers back, or give more --attempts.'
    : explain(state);

async function unlock(options: UnlockOptions): Promise<void> {
  requireMeasuredEnvironment(options);
  const config = await readConfig(options.config);
  const node = await oneShotNode(config, options);
  try {
    const outcome = await node.unlockOnce(options.attempts);
    if ('identity' in outcome) {
      const account = encodeSs58(outcome.identity.account);
      if (options.derive !== undefined) {
        console.log(toHex(deriveKey(outcome.storeKey.reveal(), DERIVE_LABEL + options.derive)));
      } else if (options.json === true) {
        console.log(JSON.stringify({ state: 'open', accountId: account }));
      } else {
        console.log(`open: ${account}`);
      }
      return;
    }
    if (options.json === true) console.log(JSON.stringify(stateToJson(outcome)));
    else process.stderr.write(`${summarize(outcome)}\n${adviceAfter(outcome)}\n`);
    process.exitCode = exitCodes.failed;
  } finally {
    await node.close();
  }
}
