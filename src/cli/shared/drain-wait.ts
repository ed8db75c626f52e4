import type { z } from 'zod';
import { drainAnswer } from '../../agent/drain-routes.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import type { Clock } from '../../time/clock.ts';
import { agentProblem, askAgent, readAgentJson } from './agent-socket.ts';

/** How a drain stands, as the node says. */
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
 * Looks again and again until nobody needs the server any more, or the deadline has passed.
 * @throws ProblemError DRAIN_ENDED when the node does not drain any more; what `look` throws.
 */
export async function waitUntilFree(
  look: () => Promise<DrainStanding>,
  options: {
    readonly clock: Clock;
    /** Milliseconds from now; endless without. */
    readonly deadlineMs?: number | undefined;
    readonly onStanding: (standing: DrainStanding) => void;
  },
): Promise<DrainStanding> {
  const { clock, deadlineMs = Number.POSITIVE_INFINITY, onStanding } = options;
  const beganMs = clock.nowMs();
  for (;;) {
    const standing = await look();
    if (!standing.draining) {
      throw new ProblemError('DRAIN_ENDED', 'the node does not drain any more', {
        hint: 'it was cancelled, or the node restarted: drain it again',
      });
    }
    onStanding(standing);
    const leftMs = beganMs + deadlineMs - clock.nowMs();
    if (standing.remaining === 0 || leftMs <= 0) return standing;
    await clock.sleep(Math.min(POLL_MS, leftMs));
  }
}

/** The lines that a person reads. */
export function drainLines({ draining, remaining, moved, clients }: DrainStanding): readonly string[] {
  const count = (of: number): string => `${of} ${of === 1 ? 'client' : 'clients'}`;
  if (!draining) return [`not draining; ${count(remaining)} with keys here`];
  if (remaining === 0)
    return [`nobody needs this server any more: it may be stopped (${count(moved)} moved)`];
  const unlisted = remaining - clients.length;
  return [
    `${count(remaining)} still ${remaining === 1 ? 'needs' : 'need'} this server, ${moved} moved`,
    ...clients.map(({ accountId, endpoint, keys, atRisk, standing }) => {
      const risk = atRisk ? '; AT RISK: would be below its threshold without this server' : '';
      return `  ${accountId}  ${endpoint ?? '-'}  ${keys} ${keys === 1 ? 'key' : 'keys'}; ${standing}${risk}`;
    }),
    ...(unlisted > 0 ? [`  and ${unlisted} more`] : []),
    'Draining goes on; `latchkey drain --cancel` ends it.',
  ];
}
