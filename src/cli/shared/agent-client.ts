import { connect } from 'node:net';
import { defaultAgentSocket } from '../../config/agent-socket.ts';
import type { Config } from '../../config/schema.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';

/** Where the agent of the node with this configuration listens. */
export const agentSocketOf = ({ agent, node }: Config): string =>
  agent.socketPath ?? defaultAgentSocket(node.dataFolder);

/** @throws RefusalError NODE_RUNNING when a process listens on the agent's socket. */
export async function requireStopped(config: Config): Promise<void> {
  const path = agentSocketOf(config);
  const isTaken = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // ENOENT, or what a killed process has left behind.
    socket.once('error', () => resolve(false));
  });
  if (isTaken) {
    throw new RefusalError('NODE_RUNNING', `a node runs with this configuration: it listens on ${path}`, {
      hint: 'stop it first; nothing was changed',
    });
  }
}
