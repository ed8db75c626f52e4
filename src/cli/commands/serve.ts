import { Command } from 'commander';
import { summarize } from '../../boot/node/node-state.ts';
import { readSecrets } from '../../config/secrets.ts';
import { ConfigReload } from '../../node/config-reload.ts';
import { LatchkeyNode } from '../../node/latchkey-node.ts';
import { buildParts } from '../../node/parts.ts';
import { keepMemoryOutOfCoreFiles } from '../service/core-files.ts';
import { readConfigAgain } from '../service/read-again.ts';
import { takeServiceEnvironment } from '../service/service-environment.ts';
import { ServiceManager } from '../service/service-manager.ts';
import { systemdNotify } from '../service/systemd-notify.ts';
import {
  addOpeningOptions,
  type OpeningOptions,
  readConfig,
  readTrustRoot,
  requireMeasuredEnvironment,
} from '../shared/config-options.ts';
import { exitCodes, textOfBug } from '../shared/failure.ts';
import { watchProcess } from '../shared/process-faults.ts';
import { surviveStraySignals } from '../shared/stray-signals.ts';
import { terminationSignal } from '../shared/termination-signal.ts';
import { programVersion } from '../shared/version.ts';

/** `latchkey serve`: runs the key server for other nodes and the guardian of the own store, until it is stopped. */
export function serveCommand(): Command {
  return addOpeningOptions(new Command('serve'))
    .description('run a node: guard its own store, serve keys to its peers')
    .action(serve);
}

async function serve(options: OpeningOptions): Promise<void> {
  requireMeasuredEnvironment(options);
  keepMemoryOutOfCoreFiles();
  const terminated = terminationSignal();
  // A signal that comes before there is a node must not end this process either.
  let takeSignal: (signal: NodeJS.Signals) => void = () => undefined;
  surviveStraySignals((signal) => takeSignal(signal));
  const { socket, watchdogMs } = takeServiceEnvironment(process.env, process.pid);
  const config = await readConfig(options.config);
  const secrets = await readSecrets(config);
  const trustRoot = await readTrustRoot(options);
  const parts = buildParts(config, trustRoot === undefined ? {} : { trustRoot });
  const { log, metrics, clock, mainLoop } = parts;
  metrics.buildInfo.set({ version: programVersion(), node: process.version }, 1);
  const broken = watchProcess((fault, error) => {
    metrics.processFaults.inc({ fault });
    if (fault !== 'output') log('error', `process.${fault}`, { error: textOfBug(error) });
  }).then(() => {
    process.exitCode = exitCodes.failed;
  });
  const reload = new ConfigReload(config, parts, () => readConfigAgain(options.config));
  const node = new LatchkeyNode(config, parts, { ...options, secrets, version: programVersion(), reload });
  const manager = new ServiceManager({
    notify: socket === undefined ? undefined : systemdNotify(socket),
    watchdogMs,
    clock,
    log,
    status: () => summarize(node.state),
    overdueMs: () => mainLoop.overdueMs,
  });
  const started = node.start().then(() => {
    void manager.ready();
  });
  takeSignal = (signal) => {
    log(signal === 'SIGHUP' ? 'info' : 'warn', 'process.signal', { signal });
    if (signal === 'SIGHUP') started.then(() => reloadConfig(manager, reload)).catch(() => undefined);
  };
  await started;
  await Promise.race([terminated, broken]);
  void manager.stopping();
  await node.close();
  await manager.told();
}

/** The manager is told before and after; a reload that is refused ends in the same way, for the node goes on. */
async function reloadConfig(manager: ServiceManager, reload: ConfigReload): Promise<void> {
  void manager.reloading();
  await reload.reload();
  void manager.reloaded();
}
