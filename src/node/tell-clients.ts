import type { OpenNode } from '../boot/node/open-node.ts';
import type { Log } from '../observe/log.ts';
import type { NodeParts } from './parts.ts';
import type { Serving } from './serving.ts';

/**
 * Waits for work that runs beside healing. A failure, as of a store that takes no more writes, is logged and ends
 * nothing else: without healing the next restart could not open the store.
 */
export async function besideHealing(
  log: Log,
  event: string,
  work: Promise<unknown> | undefined,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    log('error', event, { error: String(error) });
  }
}

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
