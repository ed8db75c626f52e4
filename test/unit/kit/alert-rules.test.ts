import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type AlertCase, alertCases, healthyNode } from '../../support/alert-cases.ts';
import {
  hasPromtool,
  promtool,
  type RuleTest,
  rulesFile,
  seriesOf,
  testRules,
} from '../../support/promtool.ts';

/** What these tests read of a rule. */
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}
const rulesText = readFileSync(rulesFile, 'utf8');
// promtool checks the form of the file.
const { groups } = parse(rulesText) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const byName = new Map(rules.map((rule) => [rule.alert, rule]));
const severityOf = (alert: string): string => byName.get(alert)?.labels.severity ?? 'no such alert';

const FIRING = 'ALERTS{alertstate="firing"}';
const minutes = (n: number): string => `${n}m`;

/** A series name with labels of its own gets job and instance. */
function inputSeries(instance: string, series: Readonly<Record<string, string>>): RuleTest['input_series'] {
  return Object.entries(series).map(([name, values]) => {
    const [metric = '', own = ''] = name.split('{');
    const labels = `job="latchkey",instance="${instance}"`;
    return { series: `${metric}{${labels}${own === '' ? '}' : `,${own}`}`, values };
  });
}

/** A healthy node for a little longer than `until` minutes: promtool takes time for each sample. */
const healthyUntil = (until: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(healthyNode).map(([name, values]) => [name, values.replace('x6000', `x${until + 10}`)]),
  );

const fired = (alert: string, labels: Readonly<Record<string, string>>) => ({
  labels: seriesOf('ALERTS', {
    alertname: alert,
    alertstate: 'firing',
    job: 'latchkey',
    severity: severityOf(alert),
    ...labels,
  }),
  value: 1,
});

/** A fleet of three in which only the node `a` differs from a healthy one. */
function testOf({ alert, series, labels = {}, silentAt, firesAt }: AlertCase): RuleTest {
  return {
    name: `${alert} ${JSON.stringify(series)}`,
    interval: '1m',
    input_series: [
      ...inputSeries('a', { ...healthyUntil(firesAt), ...series }),
      ...['b', 'c'].flatMap((instance) => inputSeries(instance, healthyUntil(firesAt))),
    ],
    promql_expr_test: [
      { expr: FIRING, eval_time: minutes(silentAt), exp_samples: [] },
      {
        expr: FIRING,
        eval_time: minutes(firesAt),
        exp_samples: [fired(alert, { instance: 'a', ...labels })],
      },
    ],
  };
}

/** A fleet of four, n = 5 and t = 3: two may be away, three may not. */
function fleetTest(
  third: Readonly<Record<string, string>>,
  expected: RuleTest['promql_expr_test'],
): RuleTest {
  const healthy = healthyUntil(60);
  const down = { ...healthy, up: '0x500' };
  const locked = {
    ...healthy,
    'latchkey_node_state{state="backed"}': '_x500',
    'latchkey_node_state{state="locked"}': '1x500',
  };
  // A node that makes its first store has other numbers, which must not count as those of the fleet.
  const first = { ...healthy, latchkey_slots_wanted: '1x500', latchkey_slots_threshold: '1x500' };
  return {
    name: 'LatchkeyTooManyDown',
    interval: '1m',
    input_series: [
      ...inputSeries('a', down),
      ...inputSeries('b', locked),
      ...inputSeries('c', { ...healthy, ...third }),
      ...inputSeries('d', first),
    ],
    promql_expr_test: expected,
  };
}
const TOO_MANY = `${FIRING.slice(0, -1)},alertname="LatchkeyTooManyDown"}`;

const tests: readonly RuleTest[] = [
  {
    name: 'a healthy fleet',
    interval: '1m',
    input_series: ['a', 'b', 'c'].flatMap((instance) => inputSeries(instance, healthyUntil(3000))),
    promql_expr_test: [0, 30, 90, 400, 1500, 3000].map((at) => ({
      expr: FIRING,
      eval_time: minutes(at),
      exp_samples: [],
    })),
  },
  {
    name: 'LatchkeyNotScraped',
    interval: '1m',
    input_series: [{ series: 'up{job="another",instance="a"}', values: '1x100' }],
    promql_expr_test: [
      { expr: FIRING, eval_time: '9m', exp_samples: [] },
      { expr: FIRING, eval_time: '11m', exp_samples: [fired('LatchkeyNotScraped', {})] },
    ],
  },
  fleetTest({}, [{ expr: TOO_MANY, eval_time: '60m', exp_samples: [] }]),
  fleetTest({ up: '1x9 0x500' }, [
    { expr: TOO_MANY, eval_time: '10m', exp_samples: [] },
    { expr: TOO_MANY, eval_time: '13m', exp_samples: [fired('LatchkeyTooManyDown', {})] },
  ]),
  ...alertCases.map(testOf),
];

/** Anchors of the runbooks' headings, as GitHub makes them. */
function anchors(): readonly string[] {
  const page = readFileSync(new URL('../../../docs/runbooks.md', import.meta.url), 'utf8');
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

describe('the alert rules', () => {
  it('say for each alert how bad it is, what is the case, what to do, and where to read on', () => {
    const known = anchors();
    for (const { alert, labels, annotations } of rules) {
      expect(Object.keys(annotations), alert).toEqual(['summary', 'action', 'runbook']);
      expect(['critical', 'warning'], alert).toContain(labels.severity);
      for (const text of [annotations['summary'], annotations['action']])
        expect(text, alert).toMatch(/^[A-Z].{20,}[.]$/s);
      const [page, anchor] = (annotations['runbook'] ?? '').split('#');
      expect(page, alert).toBe('docs/runbooks.md');
      expect(known, alert).toContain(anchor);
    }
  });

  it('have names that occur once, and each has a case in which it fires', () => {
    expect(byName.size).toBe(rules.length);
    const fires = tests.flatMap((test) => test.promql_expr_test.flatMap((query) => query.exp_samples));
    const named = fires.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1]);
    expect([...new Set(named)].sort()).toEqual([...byName.keys()].sort());
  });

  it('fill their texts only with labels that the alert has', () => {
    const labelsOf = new Map(
      alertCases.map(({ alert, labels = {} }) => [alert, ['job', 'instance', ...Object.keys(labels)]]),
    );
    for (const { alert, annotations } of rules) {
      const used = [
        ...Object.values(annotations)
          .join()
          .matchAll(/\{\{(.*?)\}\}/g),
      ].map(([, text]) => text);
      const allowed = (labelsOf.get(alert) ?? []).map((label) => ` $labels.${label} `);
      expect(
        used.filter((text) => !allowed.includes(text ?? '')),
        alert,
      ).toEqual([]);
    }
  });
});

describe.skipIf(!hasPromtool)('promtool (Debian’s prometheus)', () => {
  it('finds nothing wrong with the rules and the scrape job', () => {
    const rulesCheck = promtool(['check', 'rules', '--lint-fatal', rulesFile]);
    expect(rulesCheck.output).toContain(`${rules.length} rules found`);
    expect(rulesCheck.isGood).toBe(true);
    const config = promtool(['check', 'config', rulesFile.replace('latchkey.rules.yml', 'prometheus.yml')]);
    expect(config.isGood, config.output).toBe(true);
  });

  /** Long ones are evaluated every ten minutes, as a day has 1,440 of them. */
  const isLong = (test: RuleTest): boolean =>
    test.promql_expr_test.some(({ eval_time: at }) => Number.parseInt(at, 10) > 150);

  it.each([
    ['1m', tests.filter((test) => !isLong(test))],
    ['10m', tests.filter(isLong)],
  ] as const)(
    'every alert fires in its bad state and no other one does; evaluated every %s',
    {
      timeout: 240_000,
    },
    (every, chosen) => {
      expect(chosen.length).toBeGreaterThan(5);
      const { isGood, output } = testRules(chosen, every);
      expect(isGood, output).toBe(true);
    },
  );
});
