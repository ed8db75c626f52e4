import { isServerEndpoint } from '../../../chain/endpoint.ts';
import { askAgent, readAgentJson } from '../../../client/agent-connection.ts';
import { LatchkeyError, ProblemError } from '../../../errors/latchkey-error.ts';
import { chainOf } from '../../../node/parts.ts';
import { silentLog } from '../../../observe/log.ts';
import { type Asking, askEach, askOpenPort, heardNode, silentNode } from '../../../restarts/ask-open-port.ts';
import type { AskedNode } from '../../../restarts/restart-plan.ts';
import { type ServerTarget, serverTargets } from '../../../restarts/server-targets.ts';
import { systemClock } from '../../../time/clock.ts';
import { withDeadline } from '../../../time/deadline.ts';
import { agentSocketOf } from '../../shared/agent-client.ts';
import { readConfig } from '../../shared/config-options.ts';
import { readClientAccounts } from './client-accounts.ts';

/** One node to ask: a server by its open port; or, by the path of a configuration file, the node of this machine. */
export type Target = ServerTarget;

const isUrl = (target: string): boolean => /^https?:\/\//.test(target);

/** Asks nodes, some at a time. What does not answer, or not in its form, is a result too. */
export const askNodes = (targets: readonly Target[], asking: Asking): Promise<readonly AskedNode[]> =>
  askEach(targets, (one) =>
    // An endpoint of the chain is never a file.
    isUrl(one.target) || one.account !== undefined ? askOpenPort(one, asking) : askOwnAgent(one, asking),
  );

async function askOwnAgent({ target }: Target, { timeoutMs }: Asking): Promise<AskedNode> {
  // A file that is not there is a mistake of the caller, not a node that is silent.
  const socketPath = agentSocketOf(await readConfig(target));
  const ask = async (route: string): Promise<Record<string, unknown>> =>
    readAgentJson(await askAgent(socketPath, route, { quietMs: timeoutMs }));
  try {
    const heard = await withDeadline(systemClock, 2 * timeoutMs, async () => ({
      report: await ask('/status'),
      drain: await ask('/drain'),
    }));
    return heard === undefined
      ? silentNode(target, `no answer: no complete answer within ${2 * timeoutMs} ms`)
      : heardNode({ target }, heard.report, readClientAccounts(heard.drain));
  } catch (error) {
    return silentNode(target, `no answer: ${error instanceof LatchkeyError ? error.message : 'not JSON'}`);
  }
}

/**
 * Names the nodes to ask.
 * @param chainConfig adds every server that the chain of this configuration shows.
 * @throws ProblemError CONFIG_INVALID, CHAIN_UNAVAILABLE.
 */
export async function targetsOf(
  given: readonly string[],
  chainConfig: string | undefined,
): Promise<readonly Target[]> {
  for (const target of given) requireTarget(target);
  return withRegistered(given, chainConfig === undefined ? [] : await registeredTargets(chainConfig));
}

type Registered = ReturnType<typeof serverTargets>[number];

/** A server that the chain shows keeps the account of the chain, also where its URL was given. */
export function withRegistered(
  given: readonly string[],
  registered: readonly Registered[],
): readonly Target[] {
  const named = new Set(given.map((target) => (isUrl(target) ? target.replace(/\/+$/, '') : target)));
  for (const { target } of registered) named.delete(target);
  return [...[...named].map((target) => ({ target })), ...registered];
}

function requireTarget(target: string): void {
  if (isServerEndpoint(target))
    throw new ProblemError('CONFIG_INVALID', `${target} names no node: a URL begins with http://`, {
      expected: `http://${target}`,
      observed: target,
    });
  if (!isUrl(target)) return;
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url?.username === '' && url.password === '' && url.search === '' && url.hash === '') return;
  throw new ProblemError(
    'CONFIG_INVALID',
    'a node is named by the URL of its open port, or by its configuration',
    {
      expected: 'such as http://10.0.0.5:3001 or latchkey.yaml',
      observed: target,
    },
  );
}

async function registeredTargets(configPath: string): Promise<readonly Registered[]> {
  const chain = chainOf(await readConfig(configPath), silentLog, systemClock);
  try {
    return serverTargets((await chain.snapshot()).servers);
  } finally {
    await chain[Symbol.asyncDispose]();
  }
}
