import { describe, expect, it } from 'vitest';
import { type LockedCause, lockedCauseOf } from '../../../src/boot/node/locked-cause.ts';
import type { FencedCause, NodeState } from '../../../src/boot/node/node-state.ts';
import { explain, summarize } from '../../../src/boot/node/node-state.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import type { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { Drain } from '../../../src/node/drain.ts';
import { FormerClients } from '../../../src/node/former-clients.ts';
import { NodeReport } from '../../../src/node/node-report.ts';
import type { OwnRecord } from '../../../src/node/own-record.ts';
import type { RingReport } from '../../../src/node/ring/ring-membership.ts';
import { StoreWatch } from '../../../src/node/store-watch.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { FlooredClock } from '../../../src/time/clock.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const slots = [
  { server: AccountId.of(new Uint8Array(32).fill(1)), endpoint: 'a:1', standing: 'live' as const },
];
const draining = [
  {
    ...slots[0],
    server: AccountId.of(new Uint8Array(32).fill(2)),
    endpoint: 'b:1',
    standing: 'draining' as const,
  },
];
const elsewhere = [
  {
    server: AccountId.of(new Uint8Array(32).fill(1)),
    endpoint: 'a:1',
    standing: 'live' as const,
    isBoundElsewhere: true,
  },
];

const lockedCauses = {
  'keys-missing': true,
  'keys-lost': true,
  'other-process': true,
  'disk-full': true,
  'disk-read-only': true,
  'disk-failed': true,
  'resources-short': true,
  'lock-unavailable': true,
  clock: true,
  'chain-stale': true,
  'chain-unreachable': true,
  'chain-refused': true,
  'rolled-back': true,
  'store-damaged': true,
  keyslots: true,
  'wrong-disk': true,
  'never-backed': true,
  unexpected: true,
} as const satisfies Record<LockedCause, true>;
const fencedCauses = {
  'newer-instance': true,
  'key-unknown': true,
  'older-disk': true,
} as const satisfies Record<FencedCause, true>;
// Object.keys gives the names of a literal.
const everyLocked = Object.keys(lockedCauses) as LockedCause[];
const everyFenced = Object.keys(fencedCauses) as FencedCause[];

const counts = { live: 5, n: 5, t: 3, generation: 2 };
/** Every state of a node, with every cause. The compiler finds a name that is missing. */
const byName: { readonly [Name in NodeState['name']]: readonly (NodeState & { readonly name: Name })[] } = {
  starting: [{ name: 'starting', reason: 'examining this machine' }],
  fresh: [{ name: 'fresh', slots }],
  locked: everyLocked.map((cause) => ({
    name: 'locked',
    cause,
    have: 1,
    need: 3,
    n: 5,
    reason: `r ${cause}`,
    slots,
  })),
  unbacked: [{ name: 'unbacked', reason: 'too few servers', slots: [] }],
  unclaimed: [
    { name: 'unclaimed', reason: 'no mark', slots },
    ...everyLocked.map((cause) => ({ name: 'unclaimed', cause, reason: `r ${cause}`, slots }) as const),
  ],
  open: [{ name: 'open', slots }],
  degraded: [
    { name: 'degraded', ...counts, live: 4, slots },
    { name: 'degraded', ...counts, live: 2, reason: '1 of 5', slots },
    { name: 'degraded', ...counts, live: 4, slots: elsewhere },
  ],
  backed: [
    { name: 'backed', ...counts, slots },
    { name: 'backed', ...counts, reason: 'too few others', slots: draining },
    { name: 'backed', ...counts, slots: elsewhere },
  ],
  fenced: everyFenced.map((cause) => ({ name: 'fenced', cause, reason: `r ${cause}` })),
  stopped: [{ name: 'stopped' }],
};
const everyState: readonly NodeState[] = Object.values(byName).flat();

/** Facts besides the state, each of which has words of its own. */
interface Around {
  readonly title: string;
  readonly isDraining?: true;
  readonly refusal?: string;
  readonly fault?: LatchkeyError;
  readonly ring?: RingReport;
  readonly ownRecord?: OwnRecord;
  /** What the advice must contain. */
  readonly says?: string;
}
const ring = { members: 3, boundary: 7, records: 0, bytes: 0 } as const;
const surroundings: readonly Around[] = [
  { title: 'nothing else' },
  { title: 'a drain', isDraining: true, says: 'This server drains' },
  { title: 'a refusal', refusal: 'PLATFORM_REVOKED: revoked', says: 'Do not restart this machine' },
  { title: 'a full disk', fault: new ProblemError('STORE_DISK_FULL', 'full'), says: 'STORE_DISK_FULL' },
  { title: 'a record that is active (V12)', ownRecord: 'active' },
  { title: 'a record that is inactive (V12)', ownRecord: 'inactive', says: 'shows this server as inactive' },
  { title: 'no record (V12)', ownRecord: 'absent', says: 'shows no record of this account' },
  { title: 'a ring that is joined', ring: { ...ring, standing: 'joining' }, says: 'Ring: this node fetches' },
  { title: 'a ring that is served', ring: { ...ring, standing: 'serving' } },
];

function nodeIn(state: NodeState, { isDraining, refusal, fault, ring: inRing, ownRecord }: Around) {
  const world = keyServerWorld();
  const { keyServer, metrics, verifier, pki } = world;
  const clock = new FlooredClock(world.clock);
  const storeWatch = new StoreWatch({ log: silentLog, metrics });
  const drain = new Drain({ vault: world.vault, log: silentLog, clock });
  const formerClients = new FormerClients({ store: new MemoryStore(), log: silentLog, clock });
  const report = new NodeReport(
    { metrics, verifier, clock, collateral: memoryCollateral(pki, world.clock), storeWatch },
    {
      open: () => undefined,
      serving: () => ({ keyServer, formerClients, drain }),
      restartRefusal: () => refusal,
      ring: () => inRing,
      ownRecord: () => ownRecord,
    },
  );
  report.setState(state);
  if (isDraining) drain.start();
  if (fault !== undefined) storeWatch.writeFaultChanged({ error: fault, sinceMs: 1 });
  return { report, metrics };
}

const labelled = (text: string, gauge: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^${gauge}\\{\\w+="([^"]*)"\\} 1$`, 'gm'))].map((match) => match[1] ?? '');

describe('status, readiness, page and metrics', () => {
  it.each(surroundings)('tell one cause and one advice in every state, with $title', async (around) => {
    for (const state of everyState) {
      const { report, metrics } = nodeIn(state, around);
      const { ready, report: readyz } = report.readiness();
      const status = report.status();
      const page = await report.page();
      await report.refreshMetrics();
      const text = await metrics.text();
      const cause = 'cause' in state ? state.cause : undefined;

      expect(readyz['summary']).toBe(summarize(state));
      expect(readyz['advice']).toContain(explain(state));
      if (around.says !== undefined) expect(`${readyz['advice']}`).toContain(around.says);
      for (const shown of [status, page.status as unknown as Record<string, unknown>]) {
        expect([shown['state'], shown['summary'], shown['cause'], shown['ready'], shown['advice']]).toEqual([
          state.name,
          readyz['summary'],
          cause,
          ready,
          readyz['advice'],
        ]);
      }
      expect(readyz['cause']).toBe(cause);
      expect(status['explanation']).toBe((readyz['advice'] as readonly string[]).join(' '));
      expect(labelled(text, 'latchkey_node_state')).toEqual([state.name]);
      expect(labelled(text, 'latchkey_node_cause')).toEqual(cause === undefined ? [] : [cause]);
    }
  });

  it('say that the node is ready in one state only, and not while it drains or joins the ring', () => {
    for (const around of surroundings) {
      const ready = everyState.filter((state) => nodeIn(state, around).report.readiness().ready);
      const isBlocked = around.isDraining === true || around.ring?.standing === 'joining';
      expect(new Set(ready.map(({ name }) => name))).toEqual(new Set(isBlocked ? [] : ['backed']));
    }
  });

  it('forget the cause of a state that is over', async () => {
    const { report, metrics } = nodeIn({ name: 'fenced', cause: 'older-disk', reason: 'r' }, { title: '' });
    report.setState({ name: 'backed', ...counts, slots });
    expect(labelled(await metrics.text(), 'latchkey_node_cause')).toEqual([]);
    expect(report.readiness().report).not.toHaveProperty('cause');
  });

  it('the table of causes is that of the errors', () => {
    expect(everyLocked).toContain(lockedCauseOf(new ProblemError('STORE_DISK_FULL', '')));
  });
});
