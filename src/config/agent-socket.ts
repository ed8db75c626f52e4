import { join } from 'node:path';

/** Where the agent listens unless `agent.socketPath` says otherwise. */
export const defaultAgentSocket = (dataFolder: string): string => join(dataFolder, 'agent.sock');
