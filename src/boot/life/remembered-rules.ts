import { lockedCauseOf } from '../node/locked-cause.ts';
import type { OpenNode } from '../node/open-node.ts';
import { messageOf } from './boot-errors.ts';
import type { BootStage } from './boot-stage.ts';

/**
 * Reads the rules that an open store remembers, again and again until that succeeds: a node that went on without them would
 * believe an older manifest, and write that one over the newer one. A host can fail one read of its disk.
 * @returns whether the store remembers newer rules than those by which it was opened; `false` when it was stopped.
 * @throws what the store throws, when `attempts` were used up; the store is closed then.
 */
export async function openRules(
  { parts, stopped, report, pause }: BootStage,
  node: OpenNode,
  attempts: number,
): Promise<boolean> {
  const { memory, log, options, causeOf } = parts;
  if (memory === undefined) return false;
  let waitMs = options.retryMinMs;
  for (let attempt = 1; !stopped.aborted; attempt++) {
    try {
      return await memory.open(node.store, node.store.isReleased);
    } catch (error) {
      const reason = messageOf(error);
      log('error', 'rules.not-read', { error: reason });
      if (attempt >= attempts) {
        await node.close();
        throw error;
      }
      const cause = causeOf?.(error) ?? lockedCauseOf(error);
      const quorum = node.book.newest && { t: node.book.newest.t, n: node.book.newest.n };
      report({ name: 'unclaimed', reason, cause, quorum, slots: [] });
    }
    await pause(waitMs);
    waitMs = Math.min(waitMs * 2, options.retryMaxMs);
  }
  return false;
}
