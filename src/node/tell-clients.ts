import type { OpenNode } from '../boot/node/open-node.ts';
import type { Log } from '../observe/log.ts';
import { AbortedError } from '../time/or-aborted.ts';
import type { NodeParts } from './parts.ts';
import type { Serving } from './serving.ts';

/**
 * Waits for work that runs while the node heals. A failure, as of a store that takes no more writes, is logged and ends
 * nothing else: without healing the next restart could not open the store.
 * @param stop aborted when the node stops, which ends work by an error that is no failure.
 */
export async function whileHealing(
  log: Log,
  event: string,
  work: Promise<unknown> | undefined,
  stop: AbortSignal,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (stop.aborted && isEndOfWork(error)) return;
    log('error', event, { error: String(error) });
  }
}

/** Whether work was ended by a signal; `fetch` and timers have an error of their own for it. */
const isEndOfWork = (error: unknown): boolean =>
  error instanceof AbortedError || (error instanceof Error && error.name === 'AbortError');

/**
 * Tells the clients of before this start that the memory of this server is gone, and those of now when it drains; runs
 * until the signal aborts.
 */
export async function tellClients(
  { client, chain }: Pick<NodeParts, 'client' | 'chain'>,
  { identity }: OpenNode,
  { formerClients, drain, keyServer }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const { account } = identity;
  const { instanceId } = keyServer.identity;
  const snapshot = () => chain.snapshot();
  await Promise.all([
    formerClients.tell(client, account, instanceId, snapshot, signal),
    drain.run(client, account, snapshot, signal),
  ]);
}
