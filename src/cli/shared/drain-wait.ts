import type { z } from 'zod';
import { drainAnswer } from '../../agent/drain-routes.ts';
import { agentProblem, askAgent, readAgentJson } from '../../client/agent-connection.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import type { Clock } from '../../time/clock.ts';

/** The progress of a drain, as the node reports it. */
export type DrainStanding = z.output<typeof drainAnswer>;

/** How long the node may take to answer, in milliseconds. */
const QUIET_MS = 10_000;
/** Between two questions, in milliseconds. */
const POLL_MS = 1_000;

/**
 * Asks the node on its socket: `PUT` drains it, `GET` only looks, `DELETE` ends a drain.
 * @throws ProblemError NODE_UNREACHABLE, or what the node answers, such as NODE_LOCKED.
 */
export async function askDrain(socketPath: string, method: 'GET' | 'PUT' | 'DELETE'): Promise<DrainStanding> {
  const answer = await askAgent(socketPath, '/drain', { quietMs: QUIET_MS, method });
  if (answer.statusCode !== 200) throw await agentProblem(answer);
  return parseWire(drainAnswer, await readAgentJson(answer), 'answer');
}

/**
 * Asks repeatedly until neither a client nor the ring needs the server any more, or a deadline has passed.
 * @throws ProblemError DRAIN_ENDED when the node does not drain any more; what `look` throws.
 */
export async function waitUntilFree(
  look: () => Promise<DrainStanding>,
  options: {
    readonly clock: Clock;
    /** Milliseconds from now; endless without. */
    readonly deadlineMs?: number | undefined;
    /** How long to wait for the accounts that no drain moves, once all others have moved; milliseconds. */
    readonly unmovableDeadlineMs: number;
    /** How long to wait for the ring, once all clients have moved; milliseconds. */
    readonly ringDeadlineMs: number;
    readonly onStanding: (standing: DrainStanding) => void;
  },
): Promise<DrainStanding> {
  const {
    clock,
    deadlineMs = Number.POSITIVE_INFINITY,
    unmovableDeadlineMs,
    ringDeadlineMs,
    onStanding,
  } = options;
  const beganMs = clock.nowMs();
  let freeSinceMs: number | undefined;
  for (;;) {
    const standing = await look();
    if (!standing.draining) {
      throw new ProblemError('DRAIN_ENDED', 'the node does not drain any more', {
        hint: 'it was cancelled, or the node restarted: drain it again',
      });
    }
    onStanding(standing);
    const nowMs = clock.nowMs();
    const leftMs = beganMs + deadlineMs - nowMs;
    // A client that comes back by its slot restarts the second wait.
    freeSinceMs = standing.remaining > 0 ? undefined : (freeSinceMs ?? nowMs);
    const freeForMs = freeSinceMs === undefined ? -1 : nowMs - freeSinceMs;
    const isFree = standing.remaining === 0 && (standing.unmovable === 0 || freeForMs >= unmovableDeadlineMs);
    if (leftMs <= 0 || (isFree && (hasHandedOver(standing) || freeForMs >= ringDeadlineMs))) return standing;
    await clock.sleep(Math.min(POLL_MS, leftMs));
  }
}

/** Whether the ring needs nothing of this node any more. */
export const hasHandedOver = ({ ring }: DrainStanding): boolean => ring === undefined || ring.handedOver;

/** The state of a drain as lines of text for a person. */
export function drainLines(standing: DrainStanding): readonly string[] {
  const { draining, remaining, unmovable, moved, clients } = standing;
  const count = (of: number): string => `${of} ${of === 1 ? 'client' : 'clients'}`;
  if (!draining) return [`not draining; ${count(remaining + unmovable)} with keys here`];
  const lost =
    unmovable === 0
      ? []
      : [
          `${count(unmovable)} cannot move (plain keys only, or not on the chain): their keys end with this process`,
        ];
  if (remaining === 0 && !hasHandedOver(standing))
    return [`no client waits for another server (${count(moved)} moved)`, ...lost, ...ringLines(standing)];
  if (remaining === 0)
    return [`no client waits for another server: this one may be stopped (${count(moved)} moved)`, ...lost];
  const unlisted = remaining + unmovable - clients.length;
  return [
    `${count(remaining)} still ${remaining === 1 ? 'needs' : 'need'} this server, ${moved} moved`,
    ...lost,
    ...clients.map(({ accountId, endpoint, keys, atRisk, standing }) => {
      const risk = atRisk ? '; AT RISK: would be below its threshold without this server' : '';
      return `  ${accountId}  ${endpoint ?? '-'}  ${keys} ${keys === 1 ? 'key' : 'keys'}; ${standing}${risk}`;
    }),
    ...(unlisted > 0 ? [`  and ${unlisted} more`] : []),
    ...(clients.some(({ standing }) => standing === TOLD) ? noServerLines : []),
    ...(hasHandedOver(standing) ? [] : ringLines(standing)),
    'Draining goes on; `latchkey drain --cancel` ends it.',
  ];
}

/** The node told it that it drains. */
const TOLD = 'told';
/** The node does not know which servers a client finds good enough; the client says it in its own status. */
const noServerLines: readonly string[] = [
  'A client that stays "told" finds no other server: each store wants 5 besides its own node, or as many as the chain shows.',
  'With six nodes or fewer start another node first, or take the record of this one off the chain.',
];

/** One line for a log, when it differs from the one before. */
export function changeNote(onLine: (line: string) => void): (standing: DrainStanding) => void {
  let last = '';
  return (standing) => {
    const { remaining, unmovable, moved } = standing;
    const ring = hasHandedOver(standing) ? '' : '; the ring has not all records yet';
    const line = `draining: needed by ${remaining}, ${moved} moved, ${unmovable} cannot move${ring}`;
    if (line !== last) onLine(line);
    last = line;
  };
}

/** What is missing, and what to do when it does not come. */
function ringLines({ ring }: DrainStanding): readonly string[] {
  if (ring === undefined) return [];
  const because = ring.problem === undefined ? '' : ` (${ring.problem})`;
  return [
    `the ring: the members that stay do not have all ${ring.records} records of this node yet${because}`,
    '  Do not take this node off the chain. It may be restarted: then its records stay on its disk.',
    '  If this stays: `latchkey status` of the other members; each has to be serving, with room for records (ring.maxBytes, ring.keepFreeBytes).',
  ];
}
