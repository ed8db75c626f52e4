import type { Config } from '../config/schema.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { copySetting, differingPaths, settingAt } from './config-difference.ts';
import type { NodeParts } from './parts.ts';

/** Settings that a running node takes from its changed file; every other one needs a restart. docs/operations.md. */
export const liveSettings = [
  'chain.agreement',
  'chain.endpoints',
  'collateral.endpoints',
  'fleet.files',
  'fleet.sources',
  'limits.maxKeys',
  'limits.maxKeysPerPlatform',
  'limits.maxKeysPerPlatformAndAccount',
  'limits.maxPlainKeysPerPlatform',
  'limits.perAddress.burst',
  'limits.perAddress.perSecond',
  'limits.perPlatform.burst',
  'limits.perPlatform.perSecond',
  'log.level',
] as const;

/**
 * Settings that a running node takes when the new number is larger. A smaller one would make the server forget keys, or
 * stores, and with them what notices a copy of their disks; after a restart clients see by the instance id that it has
 * forgotten.
 */
export const raisableSettings = [
  'limits.lineageTtlMs',
  'limits.maxLineages',
  'limits.maxLineagesPerPlatform',
  'limits.unregisteredKeyTtlMs',
] as const;

const isAmong = (settings: readonly string[], path: string): boolean => settings.includes(path);

/** Whether a running node takes the new value of a setting. */
function isLive(path: string, running: Config, next: Config): boolean {
  if (isAmong(liveSettings, path)) return true;
  return isAmong(raisableSettings, path) && Number(settingAt(next, path)) > Number(settingAt(running, path));
}

/** How the last reload ended. */
export type ReloadReport = {
  /** By the clock of the node. */
  readonly atMs: number;
  /** Settings that the file gives another value than the node runs with; only a restart takes them. */
  readonly restartNeeded: readonly string[];
} & (
  | { readonly outcome: 'taken'; readonly changed: readonly string[] }
  | { readonly outcome: 'refused'; readonly code: string; readonly reason: string }
);

/**
 * Reads the configuration again while the node runs. Either all of its live settings are taken or, when the file is not
 * valid or new endpoints do not answer, nothing changes. Settings that need a restart are named and stay.
 */
export class ConfigReload {
  readonly #running: Config;
  readonly #parts: Pick<NodeParts, 'log' | 'metrics' | 'clock' | 'live'>;
  readonly #read: () => Promise<Config>;
  #last: ReloadReport | undefined;
  #reloading: Promise<void> = Promise.resolve();

  /**
   * @param running the configuration of the node; live settings are changed in it.
   * @param read reads and validates the file.
   */
  constructor(
    running: Config,
    parts: Pick<NodeParts, 'log' | 'metrics' | 'clock' | 'live'>,
    read: () => Promise<Config>,
  ) {
    this.#running = running;
    this.#parts = parts;
    this.#read = read;
    parts.metrics.configReloaded.set(1);
  }

  /** The last reload; `undefined` before the first. */
  get last(): ReloadReport | undefined {
    return this.#last;
  }

  /** Reloads, after a reload that is under way. Never rejects: the outcome is in log, status and metrics. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload());
    return this.#reloading;
  }

  async #reload(): Promise<void> {
    const { log, metrics, clock } = this.#parts;
    try {
      const next = await this.#read();
      const differing = differingPaths(this.#running, next);
      const changed = differing.filter((path) => isLive(path, this.#running, next));
      const restartNeeded = differing.filter((path) => !changed.includes(path));
      await this.#take(next, changed);
      this.#last = { atMs: clock.nowMs(), outcome: 'taken', changed, restartNeeded };
      log('info', 'config.reloaded', { changed });
      if (restartNeeded.length > 0) log('warn', 'config.restart-needed', restartText(restartNeeded));
    } catch (error) {
      const code = error instanceof LatchkeyError ? error.code : 'INTERNAL';
      const reason = error instanceof Error ? error.message : String(error);
      const { restartNeeded = [] } = this.#last ?? {};
      this.#last = { atMs: clock.nowMs(), outcome: 'refused', code, reason, restartNeeded };
      log('error', 'config.not-reloaded', { code, reason, message: 'nothing was changed' });
    }
    const { outcome, restartNeeded } = this.#last;
    metrics.configReloads.inc({ outcome });
    metrics.configReloaded.set(outcome === 'taken' ? 1 : 0);
    metrics.configRestartNeeded.set(restartNeeded.length);
  }

  /** Only the chain can fail, so it comes first: a failure changes nothing. */
  async #take(next: Config, changed: readonly string[]): Promise<void> {
    const { live } = this.#parts;
    if (changed.some((path) => path.startsWith('chain.'))) await live?.moveChain(next.chain);
    if (changed.includes('collateral.endpoints')) live?.moveCollateral(next.collateral.endpoints);
    if (changed.includes('log.level')) live?.setLogLevel(next.log.level);
    for (const path of changed) copySetting(this.#running, next, path);
  }
}

function restartText(settings: readonly string[]): { settings: readonly string[]; message: string } {
  const isMeasured = settings.some((path) => path.startsWith('trust.'));
  const measured =
    ' The trust section is measured: restart only on a machine whose MRCONFIGID is the hash of the new section (`latchkey trust hash`), or the store stays locked.';
  return {
    settings,
    message: `These settings stay as they are until the node is restarted.${isMeasured ? measured : ''}`,
  };
}

/** One sentence for the operator about a reload; empty while file and node agree. */
export function adviceOnReload(last: ReloadReport | undefined): readonly string[] {
  if (last === undefined) return [];
  const waiting =
    last.restartNeeded.length === 0
      ? []
      : [`The configuration file differs in ${last.restartNeeded.join(', ')}: only a restart takes that.`];
  if (last.outcome === 'taken') return waiting;
  return [`The configuration file was not taken (${last.code}: ${last.reason}).`, ...waiting];
}
