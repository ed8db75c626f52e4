import { resolve } from 'node:path';
import { Command } from 'commander';
import type { RestoredNode } from '../../boot/life/restore-node.ts';
import { explain, stateToJson, summarize } from '../../boot/node/node-state.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { requireStopped } from '../shared/agent-client.ts';
import { newestBackupPath } from '../shared/backup-location.ts';
import {
  addConfigOption,
  addTrustRootOption,
  attemptsOption,
  type ConfigOptions,
  type RootOptions,
  readConfig,
  requireMeasuredEnvironment,
} from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';
import { readFileChunks } from '../shared/file-io.ts';
import { oneShotNode } from '../shared/one-shot-node.ts';
import { printFacts } from '../store/care.ts';
import { print, processIo, type StoreIo } from '../store/io.ts';
import { startProgress } from '../store/progress.ts';

interface RestoreOptions extends ConfigOptions, RootOptions {
  readonly from?: string;
  readonly keyslots?: string;
  readonly attempts: number;
  readonly json?: true;
}

/** `latchkey restore`: puts the store of a backup in place, for a stopped node that has lost its own store. */
export function restoreCommand(): Command {
  const command = new Command('restore');
  return addTrustRootOption(addConfigOption(command, 'configuration file of the node, which must be stopped'))
    .description(
      'make the store of a node from a backup; exit 0 when it is in place, 2 while it stays locked',
    )
    .option(
      '--from <file>',
      'file that `latchkey backup` wrote (default: the newest in backup.location)',
      (path) => resolve(path),
    )
    .option('--keyslots <file>', 'the copy of the keyslot file, when the node has none in place', (path) =>
      resolve(path),
    )
    .addOption(attemptsOption())
    .option('--json', 'print JSON')
    .action(restore);
}

async function restore(options: RestoreOptions): Promise<void> {
  const { keyslots, attempts, json } = options;
  const io = processIo();
  requireMeasuredEnvironment(options);
  const config = await readConfig(options.config);
  await requireStopped(config);
  const from = options.from ?? (await newestBackupPath(config));
  if (options.from === undefined) io.stderr.write(`from ${from}\n`);
  const node = await oneShotNode(config, options);
  const progress = startProgress(io, 'restored', 'MB');
  const source = readFileChunks(from, (bytes) => progress.update(Math.floor(bytes / 1_000_000)));
  try {
    const given = keyslots === undefined ? {} : { keyslots };
    const outcome = await node.restoreOnce({ source, attempts, ...given }).finally(() => progress.end());
    if ('report' in outcome) return await printRestored(io, { from, json }, outcome);
    if (json) await print(io.stdout, `${JSON.stringify(stateToJson(outcome))}\n`);
    else io.stderr.write(`${summarize(outcome)}\n${explain(outcome)}\nNothing was changed.\n`);
    process.exitCode = exitCodes.failed;
  } finally {
    await node.close();
  }
}

async function printRestored(
  io: StoreIo,
  { from, json }: { readonly from: string; readonly json?: true | undefined },
  restored: RestoredNode,
): Promise<void> {
  const { account, report, generation, keyslots, isOlder } = restored;
  const { namespaces, records, head } = report;
  await printFacts(io, json, {
    restored: from,
    accountId: encodeSs58(account),
    keyslots,
    generation,
    namespaces,
    records,
    sequence: head.sequence,
    needsRollbackOverride: isOlder,
  });
  if (json) return;
  await print(
    io.stdout,
    isOlder
      ? 'The key servers remember writes after this backup, which are lost: start once with `latchkey serve --accept-rolled-back-store`.\n'
      : 'The key servers that answered remember no write after this backup: start with `latchkey serve`. If that is locked with STORE_ROLLED_BACK, others do: then once with --accept-rolled-back-store.\n',
  );
}
