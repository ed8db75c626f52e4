import { countOf } from '../bytes/count-of.ts';
import type { ShownFleet, ShownFleetNode } from '../http/page-data.ts';
import { type Content, code, el, section, table } from './dom.ts';
import { time } from './units.ts';

const words = {
  yes: { kind: 'good', sign: '✓', text: 'may be restarted now' },
  no: { kind: 'bad', sign: '✗', text: 'do not restart' },
  unknown: { kind: 'open', sign: '?', text: 'not known whether it may be restarted' },
} as const;

/** The view of all servers of the chain, as elements. */
export function fleetView(fleet: ShownFleet): readonly HTMLElement[] {
  const { askedAt, problem, nodes, isAsking } = fleet;
  if (askedAt === undefined) {
    const waiting = isAsking ? 'The servers of the chain are being asked.' : 'No server was asked yet.';
    return [section('Restarts', el('p', { id: 'fleet-order' }, problem ?? waiting))];
  }
  return [
    section(
      'Restarts',
      ...order(fleet),
      el(
        'p',
        { class: 'quiet' },
        `Asked at ${time(askedAt)}. The answers of other nodes are not authenticated: a node that lies can make its own restart look safe, and no other one as long as all nodes were asked.`,
      ),
    ),
    section(`Nodes (${nodes.length})`, nodeTable(nodes)),
  ];
}

function order({ nodes, order: targets }: ShownFleet): readonly HTMLElement[] {
  const silent = nodes.filter(({ state }) => state === undefined).length;
  const careful =
    silent === 0
      ? []
      : [
          el(
            'p',
            { class: 'bad-text' },
            `${silent} of ${nodes.length} nodes gave no answer that can be used: where they might matter, nothing is called safe.`,
          ),
        ];
  if (targets.length === 0)
    return [...careful, el('p', { id: 'fleet-order' }, el('strong', {}, 'No node may be restarted now.'))];
  return [
    ...careful,
    el('p', {}, 'May be restarted now, one at a time, in this order:'),
    el('ol', { id: 'fleet-order' }, ...targets.map((target) => el('li', {}, named(nodes, target)))),
    el(
      'p',
      {},
      'After each one wait until it is ready, and look here again: every restart changes the answer.',
    ),
  ];
}

function named(nodes: readonly ShownFleetNode[], target: string): Content {
  const account = nodes.find((node) => node.target === target)?.account;
  return account === undefined ? target : [`${target} `, code(account)];
}

const nodeTable = (nodes: readonly ShownFleetNode[]): HTMLElement =>
  table(
    'Nodes of the fleet',
    ['Node', 'State', 'Restart', 'Why'],
    nodes.map((node) => [
      [el('span', {}, node.target), el('br'), node.account === undefined ? '–' : code(node.account)],
      [readiness(node), ' ', node.summary],
      verdict(node),
      reasons(node),
    ]),
  );

function readiness({ state, ready }: ShownFleetNode): Content {
  if (state === undefined) return el('strong', { class: 'badge bad' }, 'silent');
  return el('strong', { class: `badge ${ready ? 'good' : 'warn'}` }, ready ? 'ready' : 'not ready');
}

function verdict({ restart }: ShownFleetNode): Content {
  const { kind, sign, text } = words[restart];
  return [el('span', { class: `sign-box ${kind}`, 'aria-hidden': 'true' }, sign), ' ', text];
}

function reasons({ reasons: first, moreReasons, atRisk, atRiskCount }: ShownFleetNode): Content {
  const more = moreReasons === 0 ? [] : [el('li', {}, `and ${moreReasons} more reasons`)];
  const why =
    first.length === 0 ? undefined : el('ul', {}, ...first.map((reason) => el('li', {}, reason)), ...more);
  const risk =
    atRiskCount === 0
      ? undefined
      : el('p', { class: 'bad-text' }, `At risk if it stops now: ${atRiskText(atRisk, atRiskCount)}`);
  return why === undefined && risk === undefined ? '–' : [why, risk];
}

function atRiskText(atRisk: readonly string[], count: number): string {
  const more = count - atRisk.length;
  if (atRisk.length === 0) return countOf(count, 'store');
  return more === 0 ? atRisk.join(', ') : `${atRisk.join(', ')} and ${more} more`;
}
