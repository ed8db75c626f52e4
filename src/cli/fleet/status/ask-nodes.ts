import { encodeSs58 } from '../../../bytes/ss58.ts';
import { isServerEndpoint } from '../../../chain/endpoint.ts';
import { askAgent, readAgentJson } from '../../../client/agent-connection.ts';
import { LatchkeyError, ProblemError } from '../../../errors/latchkey-error.ts';
import { chainOf } from '../../../node/parts.ts';
import { silentLog } from '../../../observe/log.ts';
import { boundedFetch, type Fetch } from '../../../outbound/bounded-fetch.ts';
import { systemClock } from '../../../time/clock.ts';
import { withDeadline } from '../../../time/deadline.ts';
import { agentSocketOf } from '../../shared/agent-client.ts';
import { readConfig } from '../../shared/config-options.ts';
import { readClientAccounts, readNodeAnswer } from './node-answer.ts';
import type { AskedNode } from './restart-plan.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;

/** One node to ask. */
export interface Target {
  /** A URL of an open port, without a slash at its end; the path of a configuration file; or an endpoint of the chain that is no address. */
  readonly target: string;
  /** The account that the chain shows there; an answer of another one counts for nothing. */
  readonly account?: string;
}

/** How nodes are asked. */
export interface Asking {
  readonly fetch: Fetch;
  /** For one request. */
  readonly timeoutMs: number;
}

const isUrl = (target: string): boolean => /^https?:\/\//.test(target);

/** Asks all nodes at the same time. What does not answer, or not in its form, is a result too. */
export const askNodes = (targets: readonly Target[], asking: Asking): Promise<readonly AskedNode[]> =>
  Promise.all(targets.map((one) => askNode(one, asking)));

async function askNode({ target, account }: Target, asking: Asking): Promise<AskedNode> {
  if (account !== undefined && !isUrl(target))
    return silent(target, 'its endpoint on the chain is no address');
  const answer = isUrl(target) ? await askOpenPort(target, asking) : await askOwnAgent(target, asking);
  if ('silent' in answer) return { target, answer };
  const node = readNodeAnswer(answer.report);
  if ('wrongField' in node) return silent(target, `its answer is not in its form (${node.wrongField})`);
  if (account !== undefined && node.accountId !== undefined && node.accountId !== account)
    return silent(target, `it answers as ${node.accountId}, and the chain shows ${account} there`);
  const clientAccounts = readClientAccounts(answer.drain);
  const accountId = node.accountId ?? account;
  return {
    target,
    answer: {
      ...node,
      ...(accountId === undefined ? {} : { accountId }),
      ...(clientAccounts === undefined ? {} : { clientAccounts }),
    },
  };
}

const silent = (target: string, why: string): AskedNode => ({ target, answer: { silent: why } });

/** What a node said, not checked yet. */
type Heard = { readonly report: unknown; readonly drain?: unknown } | { readonly silent: string };

async function askOpenPort(url: string, { fetch, timeoutMs }: Asking): Promise<Heard> {
  const asked = await Promise.all(
    ['info', 'readyz'].map((path) =>
      boundedFetch(fetch, {
        url: `${url}/${path}`,
        method: 'GET',
        timeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
      }),
    ),
  );
  const read: unknown[] = [];
  for (const one of asked) {
    if (!one.ok) return { silent: `no answer: ${one.reason}` };
    const json = tryJson(one.body);
    if (typeof json !== 'object' || json === null) return { silent: `it answers ${one.status} without JSON` };
    read.push(json);
  }
  return { report: Object.assign({}, ...read) };
}

function tryJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}

async function askOwnAgent(path: string, { timeoutMs }: Asking): Promise<Heard> {
  // A file that is not there is a mistake of the caller, not a node that is silent.
  const socketPath = agentSocketOf(await readConfig(path));
  const ask = async (route: string): Promise<Record<string, unknown>> =>
    readAgentJson(await askAgent(socketPath, route, { quietMs: timeoutMs }));
  try {
    const heard = await withDeadline(systemClock, 2 * timeoutMs, async () => ({
      report: await ask('/status'),
      drain: await ask('/drain'),
    }));
    return heard ?? { silent: `no answer: no complete answer within ${2 * timeoutMs} ms` };
  } catch (error) {
    return { silent: `no answer: ${error instanceof LatchkeyError ? error.message : 'not JSON'}` };
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

/** A server that the chain shows keeps the account of the chain, also where its URL was given. */
export function withRegistered(
  given: readonly string[],
  registered: readonly Required<Target>[],
): readonly Target[] {
  const named = new Set(given.map((target) => (isUrl(target) ? target.replace(/\/+$/, '') : target)));
  for (const { target } of registered) named.delete(target);
  return [...[...named].map((target) => ({ target })), ...registered];
}

function requireTarget(target: string): void {
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

async function registeredTargets(configPath: string): Promise<readonly Required<Target>[]> {
  const chain = chainOf(await readConfig(configPath), silentLog, systemClock);
  try {
    const { servers } = await chain.snapshot();
    return servers.map(({ account, endpoint }) => ({
      target: isServerEndpoint(endpoint) ? `http://${endpoint}` : endpoint,
      account: encodeSs58(account),
    }));
  } finally {
    await chain[Symbol.asyncDispose]();
  }
}
