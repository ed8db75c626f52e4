import { Metrics } from '../../observe/metrics.ts';
import type { RingReport } from './ring-membership.ts';

/**
 * Whether the ring is a reason not to be ready: a node that is to serve and does not yet. A restart of the next one now
 * would take a second copy away. A node that is no member holds nothing up.
 */
export const isUnfinished = (ring: RingReport | undefined): boolean =>
  ring !== undefined && ring.standing !== 'serving' && ring.standing !== 'no-member';

/** What an operator should know or do, in sentences. */
export function adviceOnRing(ring: RingReport | undefined): readonly string[] {
  if (ring === undefined) return [];
  const differing = ring.differing ?? [];
  return [
    ...standingAdvice(ring),
    ...(differing.length === 0
      ? []
      : [
          `These members know other registered servers than this node, and are not heard: ${differing.join(', ')}.`,
        ]),
  ];
}

function standingAdvice({ standing, problem, boundary, handedOver = false }: RingReport): readonly string[] {
  const because = problem === undefined ? '' : ` (${problem})`;
  switch (standing) {
    case 'serving':
      return [];
    case 'no-member':
      return [
        'Ring: the chain does not show this node as a member yet; two boundaries after its registration it does.',
      ];
    case 'behind':
      return [
        `Ring: the members after block ${boundary} are not known yet${because}. If this stays: bring other members back, or add an archive endpoint to chain.endpoints, which keeps old state.`,
      ];
    case 'joining':
      return [`Ring: this node fetches the records of its ranges and does not serve yet${because}.`];
    case 'draining':
      return [
        handedOver
          ? 'Ring: the members that stay have all records of this node: it may leave the chain.'
          : 'Ring: this node hands its records over; do not take it off the chain yet.',
      ];
    case 'stopped':
      return ['Ring: this node answers no member while its store takes no writes.'];
  }
}

/** Sets the metrics of the ring. */
export function setRingMetrics(metrics: Metrics, ring: RingReport): void {
  Metrics.setState(metrics.ringStanding, ring.standing);
  metrics.ringMembers.set(ring.members);
  metrics.ringBoundary.set(ring.boundary);
  metrics.ringRecords.set(ring.records);
  metrics.ringBytes.set(ring.bytes);
  metrics.ringDiffering.set(ring.differing?.length ?? 0);
}
