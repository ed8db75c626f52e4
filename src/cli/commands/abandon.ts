import { Command } from 'commander';
import { NodeFolder } from '../../boot/node/node-folder.ts';
import { toHex } from '../../bytes/hex.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { FolderHold } from '../../node/folder-hold.ts';
import { readStoreHeader } from '../../store/keys/store-header.ts';
import { requireStopped } from '../shared/agent-client.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

interface AbandonOptions extends ConfigOptions {
  readonly yes?: boolean;
}

/** `latchkey abandon`: renames a store that can no longer be opened, so that the machine can become a new node. */
export function abandonCommand(): Command {
  return addConfigOption(new Command('abandon'), 'configuration file of the node, which must not be running')
    .description('set the store of this node aside for good, so that the machine starts as a new node')
    .option('--yes', 'do it; without this only say what would be lost')
    .action(abandon);
}

async function abandon(options: AbandonOptions): Promise<void> {
  const config = await readConfig(options.config);
  await requireStopped(config);
  const folder = new NodeFolder(nodeFileSystem, config.node.dataFolder);
  const found = await folder.look();
  if (found === 'fresh') {
    throw new ProblemError('NODE_MISSING', `there is no node in ${folder.dataFolder}`, {
      hint: 'nothing to abandon',
    });
  }
  const { storeId } = await readStoreHeader(nodeFileSystem, NodeFolder.storePath(folder.path));
  console.log(`store ${toHex(storeId)} in ${folder.path}`);
  console.log(
    found === 'enrolled'
      ? 'It has a keyslot file: its key servers can still open it if t of them remember. Abandoning gives up the\n' +
          'account, its key shares and all records, unless the folder is put back.'
      : 'It has no keyslot file: nobody can open it. If the file was only moved, put it back instead.',
  );
  if (options.yes !== true) {
    console.log('Nothing was changed; say --yes to set it aside.');
    process.exitCode = exitCodes.refused;
    return;
  }
  const hold = new FolderHold(folder);
  await hold.take();
  try {
    const aside = await folder.setAside(`abandoned-${Math.floor(Date.now() / 1000)}`);
    console.log(`set aside as ${aside}; no byte was erased`);
  } finally {
    await hold.release();
  }
}
