import { countOf } from '../../../bytes/count-of.ts';
import type { PlannedNode, RestartPlan } from '../../../restarts/restart-plan.ts';
import { printableName } from '../../shared/terminal-text.ts';

const words = {
  yes: 'may be restarted now',
  no: 'do not restart',
  unknown: 'not known whether it may be restarted',
};
/** Most reasons that are printed for one node; --json has all. */
const MAX_REASONS = 5;

/** A fleet for a person: each node, then all together. */
export function planLines({ nodes, order }: RestartPlan): readonly string[] {
  return [...nodes.flatMap(nodeLines), '', ...orderLines(order, nodes)];
}

function nodeLines(node: PlannedNode): readonly string[] {
  const { target, answer, restart, reasons, atRisk, atRiskByOwnCount } = node;
  const state =
    'silent' in answer ? answer.silent : `${answer.accountId ?? 'account not known'}  ${answer.summary}`;
  const shown = reasons.slice(0, MAX_REASONS).map((reason) => `    - ${reason}`);
  const more = reasons.length - shown.length;
  const named = atRisk.length === 0 ? [] : [`  at risk if it stops now: ${atRisk.join(', ')}`];
  const counted =
    atRiskByOwnCount > atRisk.length
      ? [`  by its own count at risk if it stops now: ${countOf(atRiskByOwnCount, 'store')}`]
      : [];
  return [
    `${printableName(target)}  ${state}`,
    `  ${words[restart]}`,
    ...shown,
    ...(more > 0 ? [`    and ${more} more reasons`] : []),
    ...named,
    ...counted,
  ];
}

function orderLines(order: readonly string[], nodes: readonly PlannedNode[]): readonly string[] {
  const silent = nodes.filter(({ answer }) => 'silent' in answer).length;
  const careful =
    silent === 0
      ? []
      : [
          `${silent} of ${nodes.length} nodes gave no answer that can be used: where they might matter, nothing is called safe.`,
        ];
  if (order.length === 0) return [...careful, 'No node may be restarted now.'];
  return [
    ...careful,
    'May be restarted now, one at a time, in this order:',
    ...order.map((target, index) => `  ${index + 1}. ${printableName(target)}`),
    'After each one wait until `/readyz` answers 200, and run this command again: every restart changes the answer.',
  ];
}
