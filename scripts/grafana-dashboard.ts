/** What a panel shows: a query and the legend of its series. */
type Query = readonly [expr: string, legend: string];

/** A panel; `stat` shows the newest value, `timeseries` a curve, `table` one line for each series. */
interface Panel {
  readonly title: string;
  readonly description?: string;
  readonly type: 'stat' | 'timeseries' | 'state-timeline';
  readonly unit?: string;
  /** Columns of 24. */
  readonly width: number;
  readonly queries: readonly Query[];
  /** Values from which on a panel is orange and red. */
  readonly warnFrom?: number;
  readonly alarmFrom?: number;
}

const NODE = '{{instance}}';
const PICKED = 'job="$job", instance=~"$instance"';
/** A metric of the nodes that are picked above the dashboard. */
const of = (metric: string, labels = ''): string =>
  `${metric}{${PICKED}${labels === '' ? '' : `, ${labels}`}}`;
const rate = (metric: string, by: string, labels = ''): string =>
  `sum by (${by}) (rate(${of(metric, labels)}[$__rate_interval]))`;

const rows: readonly (readonly [string, readonly Panel[]])[] = [
  [
    'May a node be restarted now?',
    [
      {
        title: 'Nodes that answer',
        type: 'stat',
        width: 4,
        queries: [[`sum(${of('up')})`, 'up']],
      },
      {
        title: 'Nodes that do not answer',
        type: 'stat',
        width: 4,
        warnFrom: 1,
        alarmFrom: 2,
        queries: [[`count(${of('up')} == 0) or vector(0)`, 'down']],
      },
      {
        title: 'Stores that are closed',
        description: 'locked, or still starting',
        type: 'stat',
        width: 4,
        warnFrom: 1,
        alarmFrom: 2,
        queries: [
          [
            `count(${of('latchkey_node_state', 'state=~"locked|starting|fresh"')} == 1) or vector(0)`,
            'closed',
          ],
        ],
      },
      {
        title: 'Stores at risk',
        description:
          'Stores of other nodes that fall below their threshold when the node that says so stops. Stop none while this is not 0.',
        type: 'stat',
        width: 4,
        warnFrom: 1,
        alarmFrom: 2,
        queries: [[`max(${of('latchkey_clients_at_risk')})`, 'at risk']],
      },
      {
        title: 'Spare slots of the weakest store',
        description:
          'Live slots above the threshold: so many of its servers may lose their memory. 0: none may.',
        type: 'stat',
        width: 4,
        queries: [
          [
            `min((${of('latchkey_slots_live')} - ${of('latchkey_slots_threshold')}) and on (job, instance) ${of('latchkey_node_state', 'state=~"degraded|backed"')} == 1)`,
            'spare',
          ],
        ],
      },
      {
        title: 'Nodes that drain',
        type: 'stat',
        width: 4,
        queries: [[`sum(${of('latchkey_draining')})`, 'draining']],
      },
      {
        title: 'State',
        type: 'state-timeline',
        width: 24,
        queries: [[`${of('latchkey_node_state')} == 1`, `${NODE} {{state}}`]],
      },
    ],
  ],
  [
    'Slots',
    [
      { title: 'Live slots', type: 'timeseries', width: 8, queries: [[of('latchkey_slots_live'), NODE]] },
      {
        title: 'Slots that are missing',
        type: 'timeseries',
        width: 8,
        queries: [[`${of('latchkey_slots_wanted')} - ${of('latchkey_slots_live')}`, NODE]],
      },
      {
        title: 'Older keys that open an older disk',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_older_generations_open'), `${NODE} generations`],
          [of('latchkey_former_lineages_open'), `${NODE} store keys`],
          [of('latchkey_older_dropped'), `${NODE} given up`],
        ],
      },
      {
        title: 'Keys held for others',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_vault_keys'), `${NODE} keys`],
          [of('latchkey_vault_lineages'), `${NODE} stores remembered`],
        ],
      },
      {
        title: 'Clients at risk',
        type: 'timeseries',
        width: 8,
        queries: [[of('latchkey_clients_at_risk'), NODE]],
      },
      {
        title: 'Drain: clients that still need the node',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_draining_clients'), NODE],
          [of('latchkey_draining_unmovable'), `${NODE} cannot move`],
        ],
      },
    ],
  ],
  [
    'Requests',
    [
      {
        title: 'Keys released',
        type: 'timeseries',
        unit: 'reqps',
        width: 8,
        queries: [[rate('latchkey_keys_released_total', 'instance, intent'), `${NODE} {{intent}}`]],
      },
      {
        title: 'Key requests refused',
        description: 'docs/errors.md explains each code.',
        type: 'timeseries',
        unit: 'reqps',
        width: 8,
        queries: [[rate('latchkey_keys_refused_total', 'instance, code'), `${NODE} {{code}}`]],
      },
      {
        title: 'Key requests: 95 % take less than',
        type: 'timeseries',
        unit: 's',
        width: 8,
        queries: [
          [
            `histogram_quantile(0.95, ${rate('latchkey_http_request_seconds_bucket', 'instance, le', 'route="/request-encryption-key"')})`,
            NODE,
          ],
        ],
      },
      {
        title: 'Requests by status',
        type: 'timeseries',
        unit: 'reqps',
        width: 8,
        queries: [[rate('latchkey_http_requests_total', 'instance, status'), `${NODE} {{status}}`]],
      },
      {
        title: 'Requests by route',
        type: 'timeseries',
        unit: 'reqps',
        width: 8,
        queries: [[rate('latchkey_http_requests_total', 'route'), '{{route}}']],
      },
      {
        title: 'Requests of users of secrets',
        type: 'timeseries',
        unit: 'reqps',
        width: 8,
        queries: [[rate('latchkey_secret_requests_total', 'route, code'), '{{route}} {{code}}']],
      },
    ],
  ],
  [
    'Store and disk',
    [
      {
        title: 'Bytes of the store',
        type: 'timeseries',
        unit: 'bytes',
        width: 8,
        queries: [
          [of('latchkey_store_bytes'), `${NODE} on the disk`],
          [of('latchkey_store_live_bytes'), `${NODE} in force`],
        ],
      },
      {
        title: 'Free bytes',
        type: 'timeseries',
        unit: 'bytes',
        width: 8,
        queries: [[of('latchkey_store_free_bytes'), NODE]],
      },
      {
        title: 'Faults of the disk',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_store_write_fault'), `${NODE} write fault`],
          [of('latchkey_store_faults_total'), `${NODE} {{code}}`],
          [of('latchkey_store_takes_writes'), `${NODE} takes writes`],
        ],
      },
    ],
  ],
  [
    'Outside world',
    [
      {
        title: 'Newest finalized block',
        type: 'timeseries',
        width: 6,
        queries: [[of('latchkey_chain_finalized_block'), NODE]],
      },
      {
        title: 'Collateral',
        type: 'timeseries',
        width: 6,
        queries: [[of('latchkey_collateral_state'), `${NODE} {{state}}`]],
      },
      {
        title: 'Machines that an early TCB evaluation refuses',
        type: 'timeseries',
        width: 6,
        queries: [[of('latchkey_tcb_warnings'), `${NODE} {{machines}}`]],
      },
      {
        title: 'First refusal, by estimate',
        type: 'stat',
        unit: 'dateTimeAsIso',
        width: 6,
        queries: [[`min(${of('latchkey_tcb_refused_from_seconds')}) * 1000`, 'first refusal']],
      },
    ],
  ],
  [
    'Fleet and ring',
    [
      {
        title: 'Serial of the fleet manifest',
        type: 'timeseries',
        width: 6,
        queries: [[of('latchkey_fleet_serial'), NODE]],
      },
      {
        title: 'Manifests: awaited, in conflict, waiting',
        type: 'timeseries',
        width: 6,
        queries: [
          [of('latchkey_fleet_awaited'), `${NODE} awaited`],
          [of('latchkey_fleet_conflict'), `${NODE} conflict`],
          [of('latchkey_fleet_waiting'), `${NODE} permissions that wait`],
          [of('latchkey_fleet_servers_behind'), `${NODE} servers behind`],
          [of('latchkey_fleet_rekey_waiting'), `${NODE} waits for a new store key`],
        ],
      },
      {
        title: 'Next permission that ends',
        type: 'stat',
        unit: 'dateTimeAsIso',
        width: 6,
        queries: [[`min(${of('latchkey_fleet_next_end_seconds')} > 0) * 1000`, 'ends']],
      },
      {
        title: 'Ring: standing',
        type: 'state-timeline',
        width: 6,
        queries: [[`${of('latchkey_ring_standing')} == 1`, `${NODE} {{state}}`]],
      },
      {
        title: 'Ring: members and differing ones',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_ring_members'), `${NODE} members`],
          [of('latchkey_ring_differing_members'), `${NODE} differing`],
        ],
      },
      {
        title: 'Ring: boundary',
        type: 'timeseries',
        width: 8,
        queries: [[of('latchkey_ring_boundary'), NODE]],
      },
      {
        title: 'Ring: records and bytes',
        type: 'timeseries',
        width: 8,
        queries: [
          [of('latchkey_ring_records'), `${NODE} records`],
          [of('latchkey_ring_bytes'), `${NODE} bytes`],
        ],
      },
    ],
  ],
  [
    'Process',
    [
      {
        title: 'Processor',
        type: 'timeseries',
        unit: 'percentunit',
        width: 6,
        queries: [[`rate(${of('process_cpu_seconds_total')}[$__rate_interval])`, NODE]],
      },
      {
        title: 'Memory',
        type: 'timeseries',
        unit: 'bytes',
        width: 6,
        queries: [[of('process_resident_memory_bytes'), NODE]],
      },
      {
        title: 'Delay of the event loop, 99 %',
        type: 'timeseries',
        unit: 's',
        width: 6,
        queries: [[of('nodejs_eventloop_lag_p99_seconds'), NODE]],
      },
      {
        title: 'Defects and lost log lines',
        type: 'timeseries',
        width: 6,
        queries: [
          [of('latchkey_process_faults_total'), `${NODE} {{fault}}`],
          [of('latchkey_insecure_trust_root'), `${NODE} insecure trust root`],
        ],
      },
    ],
  ],
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own variable
const datasource = { type: 'prometheus', uid: '${datasource}' };

function panelJson(panel: Panel, id: number, gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>) {
  const { title, description, type, unit = 'short', queries, warnFrom, alarmFrom } = panel;
  const steps = [
    { color: 'green', value: null },
    ...(warnFrom === undefined ? [] : [{ color: 'orange', value: warnFrom }]),
    ...(alarmFrom === undefined ? [] : [{ color: 'red', value: alarmFrom }]),
  ];
  return {
    id,
    type,
    title,
    ...(description === undefined ? {} : { description }),
    gridPos,
    datasource,
    fieldConfig: { defaults: { unit, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    ...(type === 'stat' ? { options: { reduceOptions: { calcs: ['lastNotNull'] } } } : {}),
    targets: queries.map(([expr, legendFormat], at) => ({
      refId: String.fromCharCode(65 + at),
      datasource,
      expr,
      legendFormat,
    })),
  };
}

/** Panels side by side, in lines of 24 columns. */
function laidOut(): readonly unknown[] {
  const HEIGHT = { stat: 4, timeseries: 8, 'state-timeline': 8 } as const;
  const panels: unknown[] = [];
  let [x, y, lineHeight] = [0, 0, 0];
  const nextLine = (): void => {
    [x, y, lineHeight] = [0, y + lineHeight, 0];
  };
  for (const [title, content] of rows) {
    nextLine();
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    for (const panel of content) {
      if (x + panel.width > 24) nextLine();
      const h = HEIGHT[panel.type];
      panels.push(panelJson(panel, panels.length + 1, { x, y, w: panel.width, h }));
      [x, lineHeight] = [x + panel.width, Math.max(lineHeight, h)];
    }
  }
  return panels;
}

const variable = (name: string, label: string, more: Readonly<Record<string, unknown>>) => ({
  name,
  label,
  ...more,
});
const labelVariable = (name: string, label: string, query: string, more: Readonly<Record<string, unknown>>) =>
  variable(name, label, {
    type: 'query',
    datasource,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    ...more,
  });

/** The dashboard of the kit, as Grafana 10 and later import it. */
export const grafanaDashboard = () => ({
  uid: 'latchkey',
  title: 'Latchkey',
  tags: ['latchkey'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  templating: {
    list: [
      variable('datasource', 'Data source', { type: 'datasource', query: 'prometheus' }),
      labelVariable('job', 'Job', 'label_values(latchkey_node_state, job)', {}),
      labelVariable('instance', 'Node', 'label_values(latchkey_node_state{job="$job"}, instance)', {
        includeAll: true,
        multi: true,
        current: { text: 'All', value: '$__all' },
      }),
    ],
  },
  annotations: { list: [] },
  panels: laidOut(),
});
