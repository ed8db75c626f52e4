import { explain, type NodeState, summarize } from '../boot/node/node-state.ts';
import { countOf } from '../bytes/count-of.ts';
import { adviceOnFleet, type FleetReport } from './fleet-report.ts';
import { adviceOnOlder, type OlderReport } from './older-report.ts';
import { adviceOnRecord, type OwnRecord } from './own-record.ts';
import { adviceOnRing, isUnfinished } from './ring/ring-advice.ts';
import type { RingReport } from './ring/ring-membership.ts';

/** The facts by which a node speaks of its state. */
export interface NodeFacts {
  readonly state: NodeState;
  readonly isDraining: boolean;
  /** Former clients that have not come back since the start. */
  readonly formerClients: number;
  readonly older: OlderReport;
  /** Why this machine would get no key back if it restarted now. */
  readonly restartRefusal: string | undefined;
  /** What to do about a store that cannot write. */
  readonly storeAdvice: string | undefined;
  /** What the chain shows of this node's account; `undefined` while that is not known. */
  readonly ownRecord: OwnRecord | undefined;
  readonly fleet: FleetReport | undefined;
  readonly ring: RingReport | undefined;
}

/** What a node says of its state, on every way by which it is asked. */
export interface NodeWords {
  readonly ready: boolean;
  /** One line. */
  readonly summary: string;
  /** Why its store is closed, not served or not written; `undefined` where there is no such cause. */
  readonly cause: string | undefined;
  /** What to do, in sentences; the state is the one that is always there. */
  readonly advice: readonly string[];
}

/**
 * The words of `latchkey status`, `/readyz`, the status page and metrics: all of them take cause and advice from here, so
 * that an operator is told the same thing everywhere.
 */
export function nodeWords(facts: NodeFacts): NodeWords {
  const { state, isDraining, formerClients, ring } = facts;
  const isReady = state.name === 'backed' && formerClients === 0 && !isDraining;
  return {
    ready: isReady && !isUnfinished(ring),
    summary: summarize(state),
    cause: causeOf(state),
    advice: adviceOf(facts),
  };
}

/** Why the store of a node is closed, not served or not written. */
export const causeOf = (state: NodeState): string | undefined => ('cause' in state ? state.cause : undefined);

function adviceOf(facts: NodeFacts): readonly string[] {
  const { state, isDraining, formerClients, older, restartRefusal, storeAdvice, ownRecord, fleet, ring } =
    facts;
  return [
    ...(isDraining
      ? ['This server drains: `latchkey drain` says when no client needs it any more, and it may be stopped.']
      : []),
    ...adviceOnOlder(older),
    ...(restartRefusal === undefined
      ? []
      : [`Do not restart this machine: its servers would refuse it. ${restartRefusal}.`]),
    ...(storeAdvice === undefined ? [] : [storeAdvice]),
    explain(state),
    ...(formerClients === 0 ? [] : [formerClientsAdvice(formerClients)]),
    ...adviceOnRecord(ownRecord),
    ...adviceOnFleet(fleet),
    ...adviceOnRing(ring),
  ];
}

const formerClientsAdvice = (count: number): string =>
  `Restart no other node yet: ${countOf(count, 'client')} from before the last restart of this one did not come back yet.`;
