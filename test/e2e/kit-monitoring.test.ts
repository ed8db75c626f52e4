import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { NodeState } from '../../src/boot/node/node-state.ts';
import type { ProcessFault } from '../../src/cli/shared/process-faults.ts';
import { errorCodes } from '../../src/errors/codes.ts';
import { openApiDocument } from '../../src/http/openapi.ts';
import type { RingStanding } from '../../src/node/ring/ring-membership.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { agentUntil } from '../support/ask-agent.ts';
import { promqlNames } from '../support/promql-names.ts';
import { hasPromtool, type RuleTest, rulesFile, seriesOf, testRules } from '../support/promtool.ts';
import { type Exposition, readExposition } from '../support/read-exposition.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { type NodePlace, type TwoNodeNetwork, twoNodeNetwork } from '../support/two-node-network.ts';

/** The values that a label can have; the compiler refuses a list that is not complete. */
const keysOf = (values: Readonly<Record<string, true>>): readonly string[] => Object.keys(values);
const nodeStates: Readonly<Record<NodeState['name'], true>> = {
  starting: true,
  fresh: true,
  locked: true,
  unbacked: true,
  unclaimed: true,
  open: true,
  degraded: true,
  backed: true,
  fenced: true,
  stopped: true,
};
const standings: Readonly<Record<RingStanding, true>> = {
  'no-member': true,
  behind: true,
  joining: true,
  serving: true,
  draining: true,
  stopped: true,
};
const faults: Readonly<Record<ProcessFault, true>> = { rejection: true, exception: true, output: true };
const valuesOf: Readonly<Record<string, readonly string[]>> = {
  'latchkey_node_state state': keysOf(nodeStates),
  'latchkey_ring_standing state': keysOf(standings),
  'latchkey_process_faults_total fault': keysOf(faults),
  'latchkey_collateral_state state': ['fresh', 'grace', 'refused'],
  'latchkey_keys_refused_total code': Object.keys(errorCodes),
  'latchkey_http_request_seconds_bucket route': Object.keys(
    openApiDocument({ entropy: false })['paths'] ?? {},
  ),
};

/** Prometheus itself adds these. */
const ADDED_METRICS = ['up'];
const ADDED_LABELS = ['job', 'instance'];

const rules = parse(readFileSync(rulesFile, 'utf8')).groups.flatMap(
  (group: { readonly rules: readonly unknown[] }) => group.rules,
) as readonly { readonly alert: string; readonly expr: string }[];
const dashboard = JSON.parse(
  readFileSync(new URL('../../kit/grafana/latchkey.json', import.meta.url), 'utf8'),
) as { readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[] };
interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}

/** Every expression of the kit, by where it stands. */
const expressions: readonly (readonly [string, string])[] = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
];

/** Labels of a metric: of its samples, and those with which the node's own code registers it. */
function labelsOf({ samples }: Exposition): (metric: string) => readonly string[] {
  const registered = new Map(
    // prom-client's types leave out the names of the labels, which every metric has.
    (new Metrics().registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[]).map(
      ({ name, labelNames }) => [name, labelNames],
    ),
  );
  return (metric) => [
    ...ADDED_LABELS,
    ...samples.filter(({ name }) => name === metric).flatMap(({ labels }) => Object.keys(labels)),
    ...(registered.get(metric) ?? []),
  ];
}

/** What the kit names and the node does not have. */
function unknownNames(scrape: Exposition): readonly string[] {
  const labels = labelsOf(scrape);
  return expressions.flatMap(([place, expr]) => {
    const { metrics, groupings } = promqlNames(expr);
    const known = metrics.flatMap(({ metric }) => labels(metric));
    return [
      ...metrics
        .filter(({ metric }) => !scrape.types.has(metric) && !ADDED_METRICS.includes(metric))
        .map(({ metric }) => `${place}: no metric ${metric}`),
      ...metrics.flatMap(({ metric, matchers }) =>
        matchers
          .filter(({ label }) => !labels(metric).includes(label))
          .map(({ label }) => `${place}: ${metric} has no label ${label}`),
      ),
      ...groupings.filter((label) => !known.includes(label)).map((label) => `${place}: no label ${label}`),
    ];
  });
}

/** One node, with what it needs around it, in two states. */
describe.sequential('alert rules and dashboard beside the metrics of a real node', {
  timeout: 240_000,
}, () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let network: TwoNodeNetwork;
  let subject: NodePlace;
  const scrapes = new Map<'backed' | 'locked', Exposition>();
  const scrapeOf = (state: 'backed' | 'locked'): Exposition =>
    scrapes.get(state) ?? { types: new Map(), samples: [] };

  const urlOf = (section: 'listen' | 'metrics', path: string): string =>
    `http://127.0.0.1:${(subject.config[section] as { readonly port: number }).port}${path}`;
  const scrape = async (): Promise<Exposition> => {
    const answer = await fetch(urlOf('metrics', '/metrics'));
    expect(answer.headers.get('content-type')).toContain('version=0.0.4');
    return readExposition(await answer.text());
  };

  beforeAll(async () => {
    folder = await tempFolder();
    network = await twoNodeNetwork(folder.path);
    const [first, peer] = network.nodes;
    subject = first;
    peer.start();
    subject.start();
    await agentUntil(subject.socketPath, '/status', ({ json }) => json['ready'] === true);
    await fetch(urlOf('listen', '/request-encryption-key'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    // With t = n = 1 the peer's store depends on this node alone; it knows so when the peer has said it.
    const isAtRisk = ({ samples }: Exposition): boolean =>
      samples.some(({ name, value }) => name === 'latchkey_clients_at_risk' && value === '1');
    let seen = await scrape();
    for (const end = Date.now() + 120_000; !isAtRisk(seen) && Date.now() < end; seen = await scrape())
      await new Promise((resolve) => setTimeout(resolve, 200));
    scrapes.set('backed', seen);
    await peer.end('SIGKILL');
    await subject.end('SIGKILL');
    subject.start();
    await agentUntil(subject.socketPath, '/status', ({ json }) => json['state'] === 'locked');
    scrapes.set('locked', await scrape());
  }, 240_000);

  afterAll(async () => {
    await network?.close();
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  it.each(['backed', 'locked'] as const)(
    'while it is %s, it has every metric and label that the kit names',
    (state) => {
      expect(scrapeOf(state).samples.length).toBeGreaterThan(50);
      expect(unknownNames(scrapeOf(state))).toEqual([]);
    },
  );

  it('the check finds a metric that the node does not have', () => {
    const { types, samples } = scrapeOf('backed');
    const fewer = new Map([...types].filter(([name]) => name !== 'latchkey_slots_live'));
    expect(unknownNames({ types: fewer, samples })).toContain(
      'LatchkeySlotsShort: no metric latchkey_slots_live',
    );
  });

  it('labels are compared only with values that they can have', () => {
    const compared = expressions.flatMap(([place, expr]) =>
      promqlNames(expr).metrics.flatMap(({ metric, matchers }) =>
        matchers.map(({ label, value }) => ({ place, known: valuesOf[`${metric} ${label}`], value })),
      ),
    );
    const checked = compared.filter(({ known }) => known !== undefined);
    expect(checked.length).toBeGreaterThan(20);
    const wrong = checked.flatMap(({ place, known = [], value }) =>
      value
        .split('|')
        .filter((each) => !known.includes(each))
        .map((each) => `${place}: ${each}`),
    );
    expect(wrong).toEqual([]);
  });

  it('legends of the dashboard name labels that their series have', () => {
    const labels = labelsOf(scrapeOf('backed'));
    const wrong = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr, legendFormat }) => {
        const { metrics, groupings } = promqlNames(expr);
        const known = [...metrics.flatMap(({ metric }) => labels(metric)), ...groupings];
        return [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]
          .filter(([, label = '']) => !known.includes(label))
          .map(([, label]) => `${title}: ${label}`);
      }),
    );
    expect(wrong).toEqual([]);
  });

  /** Both nodes of this network are t = n = 1, and trust the development root: what is true of them for two hours. */
  it.skipIf(!hasPromtool).each([
    ['backed', ['LatchkeyClientsAtRisk', 'LatchkeyInsecureTrustRoot']],
    ['locked', ['LatchkeyInsecureTrustRoot', 'LatchkeyStoreLocked']],
  ] as const)('a node that stays %s raises exactly the alerts of this state', (state, expected) => {
    const { samples } = scrapeOf(state);
    const values = ({ name, value }: Exposition['samples'][number]): string =>
      name === 'latchkey_chain_finalized_block' ? `${value}+5x120` : `${value}x120`;
    const test: RuleTest = {
      name: state,
      interval: '1m',
      input_series: [
        { series: 'up{job="latchkey",instance="a"}', values: '1x120' },
        ...samples
          .filter(({ value }) => Number.isFinite(Number(value)))
          .map((sample) => ({
            series: seriesOf(sample.name, { ...sample.labels, job: 'latchkey', instance: 'a' }),
            values: values(sample),
          })),
      ],
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: '110m',
          exp_samples: expected.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
        },
      ],
    };
    const { isGood, output } = testRules([test], '1m');
    expect(isGood, output).toBe(true);
  });
});
