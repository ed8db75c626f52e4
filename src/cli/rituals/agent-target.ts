import { z } from 'zod';
import { utf8 } from '../../bytes/concat.ts';
import { AgentClient } from '../../client/agent-client.ts';
import { nodeFileSystem } from '../../disk/node-file-system.ts';
import { EvidenceError, LatchkeyError, RefusalError } from '../../errors/latchkey-error.ts';
import type { RitualEventTarget } from '../../rituals/ritual-events.ts';

/** Where the position lies in the key-value store of the agent. */
const NAMESPACE = 'ritual-events';
const POSITION = 'position';
const absent: ReadonlySet<string> = new Set(['STORE_NAME_MISSING', 'STORE_NAMESPACE_MISSING']);
const whole = z.int().min(0);
const position = z.strictObject({ block: whole, index: whole });

/** The rituals of a running node, with the position of events in its store. */
export function agentTarget(socketPath: string): RitualEventTarget {
  const agent = new AgentClient(socketPath);
  return {
    storeFragment: (id, timestamp, fragment) => agent.storeFragment(id, timestamp, fragment),
    deleteFragment: (id) => agent.deleteFragment(id),
    async position() {
      try {
        return readPosition(await agent.get(NAMESPACE, POSITION));
      } catch (error) {
        if (error instanceof LatchkeyError && absent.has(error.code)) return undefined;
        throw error;
      }
    },
    keepPosition: ({ block, index }) =>
      agent.put(NAMESPACE, POSITION, utf8(JSON.stringify({ block, index }))),
  };
}

function readPosition(bytes: Uint8Array): z.output<typeof position> {
  try {
    return position.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new EvidenceError('FIELD_INVALID', `${NAMESPACE}/${POSITION} of the node is no position`, {
      field: 'position',
      hint: 'another program has written it; delete it, and all events are worked off again',
      cause,
    });
  }
}

/**
 * Runs a task as the only follower of a node. All who may open the socket are on this machine, so a lock beside it holds
 * them apart: of two followers the slower one would store a fragment again that the other one has revoked.
 * @throws RefusalError STORE_LOCKED when another one runs.
 */
export async function asOnlyFollower(socketPath: string, task: () => Promise<void>): Promise<void> {
  const folder = `${socketPath}.follow`;
  await nodeFileSystem.mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const lock = await nodeFileSystem.lock?.(folder);
  if (lock !== undefined && 'owner' in lock)
    throw new RefusalError(
      'STORE_LOCKED',
      `another process follows events into ${socketPath}: ${lock.owner}`,
    );
  try {
    await task();
  } finally {
    await lock?.release();
  }
}
