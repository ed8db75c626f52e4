import { describe, expect, it } from 'vitest';
import { FleetKeeper } from '../../../src/fleet/fleet-keeper.ts';
import type { Manifest } from '../../../src/fleet/manifest.ts';
import { adviceOnFleet, countFleet, type FleetReport, fleetReport } from '../../../src/node/fleet-report.ts';
import { Metrics } from '../../../src/observe/metrics.ts';
import {
  AuthorityWorld,
  DELAY_MS,
  HOUR_MS,
  hashOf,
  idOf,
  network,
  platformList,
  START_MS,
} from '../../support/fleet-world.ts';

const DAY_MS = 24 * HOUR_MS;
const world = new AuthorityWorld();
const since = START_MS;
const iso = (ms: number): string => new Date(ms).toISOString();

function keeperWith(...manifests: readonly Manifest[]): FleetKeeper {
  const keeper = new FleetKeeper(world.authority, network);
  const time = { nowMs: START_MS, chainMs: START_MS };
  keeper.open(undefined, time);
  for (const { header, parts } of manifests) keeper.take({ signed: header.signed, ...parts }, time);
  return keeper;
}

const reportAt = (
  keeper: FleetKeeper,
  chainMs: number,
  facts: { own?: string; behind?: number } = {},
): FleetReport =>
  fleetReport(keeper, { nowMs: chainMs, chainMs }, { own: facts.own, behind: facts.behind ?? 0 });

async function metricsOf(report: FleetReport): Promise<readonly string[]> {
  const metrics = new Metrics();
  countFleet(metrics, report);
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('latchkey_fleet_'));
}

describe('what a node says of its manifests', () => {
  it('is the authority alone before the first', async () => {
    const report = reportAt(keeperWith(), START_MS);
    expect(report).toEqual({ authority: world.authority.id });
    expect(adviceOnFleet(report)).toEqual([]);
    expect(adviceOnFleet(undefined)).toEqual([]);
    expect(await metricsOf(report)).toContain('latchkey_fleet_serial 0');
  });

  const ends = START_MS + 30 * DAY_MS;
  const manifest = world.issue({
    trustHashes: [{ hash: hashOf('section'), since, until: ends }],
    measurements: [{ id: idOf('image'), since }],
  });

  it('names what waits, and until when', async () => {
    const report = reportAt(keeperWith(manifest), START_MS + DELAY_MS - 1, { behind: 2 });
    const at = iso(START_MS + DELAY_MS);
    expect(report.waiting).toEqual([
      { entry: `trust-hash ${hashOf('section')}`, at },
      { entry: `measurement ${idOf('image')}`, at },
    ]);
    expect(report.ending).toBeUndefined();
    const lines = await metricsOf(report);
    expect(lines).toContain('latchkey_fleet_serial 1');
    expect(lines).toContain('latchkey_fleet_waiting 2');
    expect(lines).toContain('latchkey_fleet_servers_behind 2');
    expect(reportAt(keeperWith(manifest), START_MS + DELAY_MS).waiting).toBeUndefined();
  });

  it('warns 14 days before a permission ends, and no more when it has ended', async () => {
    const keeper = keeperWith(manifest);
    expect(reportAt(keeper, ends - 14 * DAY_MS - 1).ending).toBeUndefined();
    const report = reportAt(keeper, ends - 14 * DAY_MS);
    expect(report.ending).toEqual([{ entry: `trust-hash ${hashOf('section')}`, at: iso(ends) }]);
    expect(adviceOnFleet(report).join()).toContain(hashOf('section'));
    expect(await metricsOf(report)).toContain(`latchkey_fleet_next_end_seconds ${ends / 1000}`);
    expect(reportAt(keeper, ends).ending).toBeUndefined();
  });

  it('says first what concerns this machine, and how much it leaves out', () => {
    const names = Array.from({ length: 40 }, (_, index) => `platform ${index}`);
    const keeper = keeperWith(
      world.issue({ measurements: [{ id: idOf('image'), since }] }, {}, { endorsed: platformList(...names) }),
    );
    const own = idOf('platform 39');
    const { waiting = [], notListed } = reportAt(keeper, START_MS, { own });
    expect(waiting.slice(0, 2).map(({ entry }) => entry)).toEqual([
      `endorsed ${own}`,
      `measurement ${idOf('image')}`,
    ]);
    expect([waiting.length, notListed]).toEqual([16, 25]);
  });

  it('names the end that comes first among many, also in the metric', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => idOf(`image ${index}`)).sort();
    const last = ids.at(-1);
    const measurements = ids.map((id) => ({ id, since, until: id === last ? ends - 1000 : ends }));
    const report = reportAt(keeperWith(world.issue({ measurements })), ends - DAY_MS);
    expect(report.ending?.[0]).toEqual({ entry: `measurement ${last}`, at: iso(ends - 1000) });
    expect(report.notListed).toBe(4);
    expect(await metricsOf(report)).toContain(`latchkey_fleet_next_end_seconds ${ends / 1000 - 1}`);
  });

  it('says that a manifest is missing, and which file to publish', async () => {
    const keeper = keeperWith(manifest);
    const next = world.issue({}, { serial: 2 });
    keeper.note(next.header.signed, { nowMs: START_MS, chainMs: START_MS });
    const report = reportAt(keeper, START_MS);
    expect(report.manifest?.serial).toBe(1);
    expect(report.awaited?.serial).toBe(2);
    expect(adviceOnFleet(report).join()).toContain('latchkey fleet publish');
    expect(await metricsOf(report)).toContain('latchkey_fleet_awaited 1');
  });

  it('says of two manifests with one serial both hashes, and who has to sign', async () => {
    const keeper = keeperWith(manifest);
    keeper.note(world.issue({}, { issuedAtMs: START_MS + 1 }).header.signed, {
      nowMs: START_MS,
      chainMs: START_MS,
    });
    const report = reportAt(keeper, START_MS);
    expect(report.conflict?.hashes).toHaveLength(2);
    const advice = adviceOnFleet(report).join();
    for (const hash of report.conflict?.hashes ?? []) expect(advice).toContain(hash);
    expect(advice).toContain('trust.authority');
    expect(await metricsOf(report)).toContain('latchkey_fleet_conflict 1');
  });

  it('says that a new store key is asked for', async () => {
    const rekey = { id: idOf('rekey'), reason: 'extracted', state: 'waiting' } as const;
    const report = { ...reportAt(keeperWith(), START_MS), rekey };
    expect(adviceOnFleet(report).join()).toContain('extracted');
    expect(await metricsOf(report)).toContain('latchkey_fleet_rekey_waiting 1');
    expect(adviceOnFleet({ ...report, rekey: { ...rekey, state: 'done' } })).toEqual([]);
  });
});
