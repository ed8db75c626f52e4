import { Command, InvalidArgumentError } from 'commander';
import { explain, stateToJson, summarize } from '../../boot/node/node-state.ts';
import type { Store } from '../../store/api/store-api.ts';
import { bindVolume, openVolume } from '../luks/volume.ts';
import {
  addOpeningOptions,
  attemptsOption,
  type OpeningOptions,
  readConfig,
  requireMeasuredEnvironment,
} from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';
import { oneShotNode } from '../shared/one-shot-node.ts';

interface LuksOptions extends OpeningOptions {
  readonly name: string;
  readonly memoryFolder: string;
  readonly attempts: number;
  readonly json?: boolean;
}

interface OpenOptions extends LuksOptions {
  readonly test?: boolean;
}

/** `latchkey luks`: encrypted volumes with their LUKS headers in the sealed store. */
export function luksCommand(): Command {
  return new Command('luks')
    .description('encrypted volumes with their LUKS headers in the sealed store of the node')
    .addCommand(
      withNodeOptions(new Command('bind'))
        .description('format a header for a device and keep it in the store; the device is not touched')
        .action(bind),
    )
    .addCommand(
      withNodeOptions(new Command('open'))
        .description('map the device with the header in the store; the header on the device is never read')
        .option('--test', 'only check that header and passphrase fit each other; maps nothing, needs no root')
        .action(open),
    );
}

const withNodeOptions = (command: Command): Command =>
  addOpeningOptions(command)
    .argument('<device>', 'path of the block device')
    .requiredOption('--name <name>', 'name of the volume and of /dev/mapper/NAME', volumeName)
    .option('--memory-folder <folder>', 'a folder on tmpfs for the header while it is used', '/dev/shm')
    .addOption(attemptsOption())
    .option('--json', 'print JSON');

/** @throws InvalidArgumentError for anything that device-mapper or a path would read in another way. */
function volumeName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError(
    'a name has 1 to 64 of the characters A-Z a-z 0-9 _ -, the first a letter or digit',
  );
}

const bind = (device: string, options: LuksOptions): Promise<void> =>
  withStore(options, async (store) => {
    await bindVolume(store, { ...options, device });
    report(
      options,
      'bound',
      `bound: ${options.name}; open it and make a file system on /dev/mapper/${options.name}`,
    );
  });

const open = (device: string, options: OpenOptions): Promise<void> =>
  withStore(options, async (store) => {
    const testOnly = options.test === true;
    await openVolume(store, { ...options, device }, { testOnly });
    report(
      options,
      testOnly ? 'fits' : 'open',
      testOnly ? `header and passphrase of ${options.name} fit` : `open: /dev/mapper/${options.name}`,
    );
  });

function report({ json, name }: LuksOptions, state: string, text: string): void {
  console.log(json === true ? JSON.stringify({ volume: name, state }) : text);
}

/** Opens the store of the node once, as `latchkey unlock` does. */
async function withStore(options: LuksOptions, use: (store: Store) => Promise<void>): Promise<void> {
  requireMeasuredEnvironment(options);
  const node = await oneShotNode(await readConfig(options.config), options);
  try {
    const outcome = await node.unlockOnce(options.attempts);
    if ('identity' in outcome) return await use(outcome.store);
    if (options.json === true) console.log(JSON.stringify(stateToJson(outcome)));
    else process.stderr.write(`${summarize(outcome)}\n${explain(outcome)}\n`);
    process.exitCode = exitCodes.failed;
  } finally {
    await node.close();
  }
}
