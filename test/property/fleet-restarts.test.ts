import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readNodeAnswer } from '../../src/restarts/node-answer.ts';
import { type AskedNode, planRestarts } from '../../src/restarts/restart-plan.ts';
import { accountNamed, backedAnswer } from '../support/fleet-answers.ts';

/** The truth about a fleet: who has slots where, and which of them are live. */
interface Truth {
  readonly t: number;
  /** By node: by server, whether the slot is live; `undefined` where there is none. */
  readonly slots: readonly (readonly (boolean | undefined)[])[];
  /** Nodes that run but do not answer. */
  readonly silent: readonly boolean[];
}

const truths = fc.integer({ min: 3, max: 6 }).chain((size) =>
  fc.record({
    t: fc.integer({ min: 1, max: 3 }),
    slots: fc.array(
      fc.array(fc.option(fc.boolean(), { nil: undefined, freq: 4 }), { minLength: size, maxLength: size }),
      {
        minLength: size,
        maxLength: size,
      },
    ),
    silent: fc.array(fc.boolean(), { minLength: size, maxLength: size }),
  }),
);

const slotAt = ({ slots }: Truth, node: number, server: number): boolean | undefined =>
  node === server ? undefined : slots[node]?.[server];
const nodesOf = ({ slots }: Truth): readonly number[] => slots.map((_, index) => index);
/** Live slots of a node at servers other than one. */
const liveSlots = (truth: Truth, node: number, without = -1): number =>
  nodesOf(truth).filter((server) => server !== without && slotAt(truth, node, server) === true).length;

/** What a truthful node says. */
function said(truth: Truth, node: number): Readonly<Record<string, unknown>> {
  const { t } = truth;
  const servers = nodesOf(truth).filter((server) => slotAt(truth, node, server) !== undefined);
  const clients = nodesOf(truth).filter((client) => slotAt(truth, client, node) !== undefined);
  const live = liveSlots(truth, node);
  return backedAnswer(`${node}`, [], {
    t,
    live,
    n: servers.length,
    state: live === servers.length ? 'backed' : 'degraded',
    slots: servers.map((server) => ({
      server: accountNamed(`${server}`),
      standing: slotAt(truth, node, server) ? 'live' : 'unreachable',
    })),
    clients: clients.length,
    // What it heard last may be old: here it heard nothing of any risk.
    clientsAtRisk: 0,
  });
}

/** Whether no store of a truthful node is hurt by a restart of one node. The store of a liar is its own business. */
function isSafe(truth: Truth, node: number, liar: number): boolean {
  const hurt = nodesOf(truth).filter(
    (client) =>
      client !== node &&
      client !== liar &&
      slotAt(truth, client, node) !== undefined &&
      liveSlots(truth, client, node) < truth.t,
  );
  return hurt.length === 0 && liveSlots(truth, node) >= truth.t;
}

const asAnswer = (target: string, report: unknown): AskedNode => {
  const answer = readNodeAnswer(report);
  return { target, answer: 'wrongField' in answer ? { silent: answer.wrongField } : answer };
};

/** Lies of one node: any form of a report, in its own name or in that of another node. */
const lies = fc.record({
  as: fc.integer({ min: 0, max: 5 }),
  state: fc.constantFrom('backed', 'degraded', 'open', 'unbacked', 'fresh', 'locked'),
  named: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 6 }),
  t: fc.integer({ min: 0, max: 4 }),
  live: fc.integer({ min: 0, max: 6 }),
  clients: fc.integer({ min: 0, max: 6 }),
});

describe('restarts of a fleet', () => {
  it('a node that is called safe is safe, whatever one node says and however many are silent', () => {
    let safe = 0;
    fc.assert(
      fc.property(
        truths,
        fc.option(lies, { nil: undefined }),
        fc.nat(5),
        fc.boolean(),
        (truth, lie, index, quiet) => {
          const liar = lie === undefined ? -1 : index % truth.slots.length;
          const nodes = nodesOf(truth).map((node): AskedNode => {
            if (node === liar && lie !== undefined) {
              const { as, named, ...rest } = lie;
              const slots = named.map((server) => ({ server: accountNamed(`${server}`), standing: 'live' }));
              return asAnswer(`${node}`, backedAnswer(`${as}`, [], { ...rest, slots }));
            }
            if (quiet && truth.silent[node]) return { target: `${node}`, answer: { silent: 'no answer' } };
            return asAnswer(`${node}`, said(truth, node));
          });
          for (const { target, restart } of planRestarts(nodes).nodes) {
            const node = Number(target);
            if (restart !== 'yes' || node === liar) continue;
            safe += 1;
            expect(isSafe(truth, node, liar)).toBe(true);
          }
        },
      ),
      { numRuns: 3_000 },
    );
    // The property would hold of a plan that never says yes.
    expect(safe).toBeGreaterThan(100);
  });

  it('among truthful nodes that all answer, a node is called safe exactly when it is', () => {
    fc.assert(
      fc.property(truths, (truth) => {
        const hasSlots = nodesOf(truth).every((node) =>
          nodesOf(truth).some((server) => slotAt(truth, node, server) !== undefined),
        );
        fc.pre(hasSlots);
        const { nodes } = planRestarts(nodesOf(truth).map((node) => asAnswer(`${node}`, said(truth, node))));
        for (const { target, restart } of nodes)
          expect([target, restart === 'yes']).toEqual([target, isSafe(truth, Number(target), -1)]);
      }),
      { numRuns: 1_000 },
    );
  });
});
