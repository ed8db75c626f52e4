import { unlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { NodeFolder } from '../../boot/node/node-folder.ts';
import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { agentProblem, askAgent } from '../../client/agent-connection.ts';
import type { Config } from '../../config/schema.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { encodeKeyslotFile } from '../../keyslots/keyslot-codec.ts';
import { KeyslotDisk } from '../../keyslots/keyslot-disk.ts';
import { BackupOutline } from '../../store/backup/backup-outline.ts';
import { systemCode } from '../../store/files/disk-failure.ts';
import { agentSocketOf } from '../shared/agent-client.ts';
import { newBackupPath } from '../shared/backup-location.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { requireFree, writeNewFile } from '../shared/file-io.ts';
import { printFacts } from '../store/care.ts';
import { print, processIo, type StoreIo } from '../store/io.ts';
import { startProgress } from '../store/progress.ts';

/** The node ends a backup when the reader takes nothing for this long, in milliseconds. */
const QUIET_MS = 60_000;

interface BackupOptions extends ConfigOptions {
  readonly to?: string;
  readonly json?: true;
}

/** `latchkey backup`: the store of a running node in one sealed file, and its keyslot file in a second one. */
export function backupCommand(): Command {
  return addConfigOption(new Command('backup'), 'configuration file of the running node')
    .description('back the store of a running node up, with its keyslot file beside it as FILE.keyslots')
    .option('--to <file>', 'a new file (default: one named by the time, in backup.location)', (path) =>
      resolve(path),
    )
    .option('--json', 'print JSON')
    .action(backup);
}

async function backup({ config: path, to: given, json }: BackupOptions): Promise<void> {
  const config = await readConfig(path);
  const to = given ?? newBackupPath(config, new Date());
  const io = processIo();
  const keyslotsTo = `${to}.keyslots`;
  await requireFree(keyslotsTo, 'to');
  const keyslots = new KeyslotDisk(
    nodeFileSystem,
    NodeFolder.keyslotsPath(new NodeFolder(nodeFileSystem, config.node.dataFolder).path),
  );
  // A node that was never backed has no keyslot file, and its backup could not be opened.
  await keyslots.read();
  const { bytes, storeId } = await writeStore(io, config, to);
  try {
    // Read after the store, so that it is the newest: during the backup the servers may erase the older keys.
    const file = await keyslots.read({ storeId });
    await writeNewFile(keyslotsTo, 'to', (write) => write(encodeKeyslotFile(file)));
    const [{ generation, t, slots }] = file.generations;
    const facts = { backup: to, keyslots: keyslotsTo, accountId: encodeSs58(file.account) };
    await printFacts(io, json, { ...facts, storeId: toHex(storeId), bytes, generation });
    if (json) return;
    await print(
      io.stdout,
      `It opens with the keys of ${t} of the ${slots.length} servers in ${keyslotsTo}, as long as they hold them: ` +
        'when the node makes a newer generation, they are told to forget. Keep both files, and back up again after every generation.\n',
    );
  } catch (error) {
    await unlink(to).catch(() => undefined);
    throw error;
  }
}

/** Writes what the node streams, if it is whole. */
async function writeStore(
  io: StoreIo,
  config: Config,
  to: string,
): Promise<{ readonly bytes: number; readonly storeId: Uint8Array }> {
  const progress = startProgress(io, 'backed up', 'MB');
  try {
    return await writeNewFile(to, 'to', async (write) => {
      const answer = await askAgent(agentSocketOf(config), '/backup', { quietMs: QUIET_MS });
      if (answer.statusCode !== 200) throw await agentProblem(answer);
      const outline = new BackupOutline();
      let bytes = 0;
      for await (const chunk of unlessCut(answer)) {
        outline.take(chunk);
        await write(chunk);
        bytes += chunk.length;
        progress.update(Math.floor(bytes / 1_000_000));
      }
      return { bytes, ...outline.finish() };
    });
  } finally {
    progress.end();
  }
}

/** A connection that breaks off is a backup that ends too early. */
async function* unlessCut(answer: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* answer;
  } catch (cause) {
    throw new EvidenceError(
      'STORE_BACKUP_TRUNCATED',
      `the node broke off: ${systemCode(cause) ?? String(cause)}`,
      {
        hint: 'nothing was kept of it; make it again after a change of the store key, else look at `latchkey status`',
        cause,
      },
    );
  }
}
