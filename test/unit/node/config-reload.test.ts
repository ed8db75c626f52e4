import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import type { Config } from '../../../src/config/schema.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { differingPaths } from '../../../src/node/config-difference.ts';
import {
  adviceOnReload,
  ConfigReload,
  liveSettings,
  raisableSettings,
} from '../../../src/node/config-reload.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { yamlWith } from '../config/config-fixture.ts';

const configWith = (changes: Readonly<Record<string, unknown>> = {}): Config =>
  loadConfig(yamlWith(changes), {});

/** A reload of a running configuration, and what it did. */
function reloadOf(running: Config, next: () => Config, failing: 'chain' | 'none' = 'none') {
  const events: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const done: string[] = [];
  const metrics = new Metrics();
  const reload = new ConfigReload(
    running,
    {
      log: (_, event, fields = {}) => void events.push({ event, fields }),
      metrics,
      clock: new FlooredClock({ nowMs: () => 1_000, sleep: async () => undefined }),
      live: {
        setLogLevel: (level) => void done.push(`level ${level}`),
        moveCollateral: (endpoints) => void done.push(`collateral ${endpoints}`),
        moveChain: async ({ endpoints }) => {
          if (failing === 'chain') throw new ProblemError('CHAIN_UNAVAILABLE', 'nobody answers');
          done.push(`chain ${endpoints}`);
        },
      },
    },
    async () => next(),
  );
  const metric = async (name: string) =>
    Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(await metrics.text())?.[1]);
  return { reload, events, done, metric };
}

describe('a reload of the configuration', () => {
  it('takes live settings in place, so that the parts that hold a section see them', async () => {
    const running = configWith();
    const { limits, fleet } = running;
    const { perAddress } = limits;
    const { reload, events, done } = reloadOf(running, () =>
      configWith({
        'limits.maxKeys': 7,
        'limits.perAddress': { burst: 3, perSecond: 2 },
        'fleet.sources': ['http://a.example/fleet'],
        'log.level': 'debug',
        'chain.endpoints': ['ws://other:9944'],
        'collateral.endpoints': ['https://pccs.example'],
      }),
    );
    await reload.reload();
    expect([limits.maxKeys, perAddress, fleet.sources]).toEqual([
      7,
      { burst: 3, perSecond: 2 },
      ['http://a.example/fleet'],
    ]);
    expect(done).toEqual(['chain ws://other:9944', 'collateral https://pccs.example', 'level debug']);
    expect(events.map(({ event }) => event)).toEqual(['config.reloaded']);
    expect(reload.last).toEqual({
      atMs: 1_000,
      outcome: 'taken',
      restartNeeded: [],
      changed: [
        'chain.endpoints',
        'collateral.endpoints',
        'fleet.sources',
        'limits.maxKeys',
        'limits.perAddress.burst',
        'limits.perAddress.perSecond',
        'log.level',
      ],
    });
  });

  it('leaves a changed trust section alone, names it, and warns of the restart', async () => {
    const running = configWith();
    const before = structuredClone(running);
    const { reload, events, metric } = reloadOf(running, () =>
      configWith({
        'trust.minimumThreshold': 1,
        'trust.bootstrap': true,
        'listen.port': 9,
        'node.dataFolder': '/x',
      }),
    );
    await reload.reload();
    expect(running).toEqual(before);
    const settings = ['listen.port', 'node.dataFolder', 'trust.bootstrap', 'trust.minimumThreshold'];
    const needed = events.find(({ event }) => event === 'config.restart-needed');
    expect(needed?.fields).toMatchObject({ settings, message: expect.stringContaining('MRCONFIGID') });
    expect(await metric('latchkey_config_restart_needed')).toBe(4);
    expect(adviceOnReload(reload.last).join()).toContain('trust.minimumThreshold');
  });

  it('takes a longer memory for stores and keys at once, and a shorter one by a restart only, which clients see', async () => {
    const running = configWith({
      'limits.lineageTtlMs': 9e9,
      'limits.maxLineages': 300_000,
      'limits.maxLineagesPerPlatform': 5000,
      'limits.unregisteredKeyTtlMs': 8e9,
    });
    const settings = [
      'limits.lineageTtlMs',
      'limits.maxLineages',
      'limits.maxLineagesPerPlatform',
      'limits.unregisteredKeyTtlMs',
    ];
    let next = configWith();
    const { reload, events } = reloadOf(running, () => next);
    await reload.reload();
    expect(running.limits).toMatchObject({
      lineageTtlMs: 9e9,
      maxLineages: 300_000,
      maxLineagesPerPlatform: 5000,
      unregisteredKeyTtlMs: 8e9,
    });
    expect(reload.last).toMatchObject({ outcome: 'taken', changed: [], restartNeeded: settings });
    expect(events.map(({ event }) => event)).toContain('config.restart-needed');
    next = configWith({
      'limits.lineageTtlMs': 9e9 + 1,
      'limits.maxLineages': 300_001,
      'limits.maxLineagesPerPlatform': 5001,
      'limits.unregisteredKeyTtlMs': 8e9 + 1,
    });
    await reload.reload();
    expect(reload.last).toMatchObject({ outcome: 'taken', changed: settings, restartNeeded: [] });
    expect(running.limits).toEqual(next.limits);
  });

  it('says no more that a restart is needed once the file is as it was', async () => {
    let next = configWith({ 'listen.port': 9 });
    const { reload, metric } = reloadOf(configWith(), () => next);
    await reload.reload();
    next = configWith();
    await reload.reload();
    expect(reload.last).toMatchObject({ outcome: 'taken', changed: [], restartNeeded: [] });
    expect(adviceOnReload(reload.last)).toEqual([]);
    expect(await metric('latchkey_config_restart_needed')).toBe(0);
  });

  it('of an invalid file changes nothing, and is seen in log, status and metrics', async () => {
    const running = configWith();
    const before = structuredClone(running);
    const { reload, events, done, metric } = reloadOf(running, () =>
      loadConfig(yamlWith({ 'limits.maxKeys': 7, 'log.level': 'loud' }), {}),
    );
    expect(await metric('latchkey_config_last_reload_successful')).toBe(1);
    await reload.reload();
    expect(running).toEqual(before);
    expect(done).toEqual([]);
    expect(events).toMatchObject([{ event: 'config.not-reloaded', fields: { code: 'CONFIG_INVALID' } }]);
    expect(reload.last).toMatchObject({ outcome: 'refused', code: 'CONFIG_INVALID' });
    expect(adviceOnReload(reload.last).join()).toContain('log.level');
    expect(await metric('latchkey_config_last_reload_successful')).toBe(0);
    expect(await metric('latchkey_config_reloads_total{outcome="refused"}')).toBe(1);
  });

  it('with endpoints of the chain that do not answer changes nothing else either', async () => {
    const running = configWith();
    const before = structuredClone(running);
    const next = () =>
      configWith({ 'chain.endpoints': ['ws://dead:1'], 'limits.maxKeys': 7, 'log.level': 'warn' });
    const { reload, done } = reloadOf(running, next, 'chain');
    await reload.reload();
    expect(running).toEqual(before);
    expect(done).toEqual([]);
    expect(reload.last).toMatchObject({ outcome: 'refused', code: 'CHAIN_UNAVAILABLE' });
  });

  it('never writes a value into the log: an address may hold a key', async () => {
    const secret = 'wss://node.example/0123456789abcdef';
    const { reload, events } = reloadOf(configWith(), () => configWith({ 'chain.endpoints': [secret] }));
    await reload.reload();
    expect(JSON.stringify([events, reload.last])).not.toContain('0123456789abcdef');
  });

  it('two at the same time are one after the other', async () => {
    let under = 0;
    let most = 0;
    const reload = new ConfigReload(
      configWith(),
      {
        log: () => undefined,
        metrics: new Metrics(),
        clock: new FlooredClock({ nowMs: () => 0, sleep: async () => undefined }),
      },
      async () => {
        most = Math.max(most, ++under);
        await new Promise((resolve) => setImmediate(resolve));
        under--;
        return configWith();
      },
    );
    await Promise.all([reload.reload(), reload.reload(), reload.reload()]);
    expect(most).toBe(1);
  });
});

describe('the differences of two configurations', () => {
  it('are found in every setting, a section that is new or gone too', () => {
    const decryptions = { port: 1 };
    expect(differingPaths(configWith(), configWith({ decryptions }))).toEqual(['decryptions']);
    expect(differingPaths({ a: { b: [1, 2], c: 1 } }, { a: { b: [1, 3], c: 1 } })).toEqual(['a.b']);
    expect(differingPaths({ a: { b: 1 } }, { a: {} })).toEqual(['a.b']);
    expect(differingPaths(configWith(), configWith())).toEqual([]);
  });
});

it('the live settings are those of the page for operators', () => {
  const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const section = page.split('### Changing settings without a restart')[1]?.split('\n#')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  const named = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  );
  expect(named.sort()).toEqual([...liveSettings, ...raisableSettings].sort());
});
