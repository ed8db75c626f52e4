import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import { readNodeAnswer } from './node-answer.ts';
import type { AskedNode } from './restart-plan.ts';
import type { ServerTarget } from './server-targets.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;
/** Servers that are asked at the same time; each may answer twice the bytes above. */
const ASKED_AT_ONCE = 16;

/** How servers are asked. */
export interface Asking {
  readonly fetch: Fetch;
  /** For one request. */
  readonly timeoutMs: number;
  /** Ends the asking: who was not asked until then is silent. */
  readonly signal?: AbortSignal;
}

/** A node that said nothing that counts, and why. */
export const silentNode = (target: string, why: string): AskedNode => ({ target, answer: { silent: why } });

/** Asks targets, some at a time, and returns the results in the order of the targets. */
export async function askEach<Target>(
  targets: readonly Target[],
  ask: (target: Target) => Promise<AskedNode>,
): Promise<readonly AskedNode[]> {
  const results: AskedNode[] = [];
  const waiting = targets.entries();
  const work = async (): Promise<void> => {
    for (const [index, target] of waiting) results[index] = await ask(target);
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, work));
  return results;
}

/** Asks an open port `GET /info` and `GET /readyz`. What does not answer, or not in its form, is a result too. */
export async function askOpenPort(one: ServerTarget, asking: Asking): Promise<AskedNode> {
  const { target, notAsked } = one;
  const { fetch, timeoutMs, signal } = asking;
  if (notAsked !== undefined) return silentNode(target, notAsked);
  if (signal?.aborted) return silentNode(target, 'no answer: not asked in time');
  const asked = await Promise.all(
    ['info', 'readyz'].map((path) =>
      boundedFetch(fetch, {
        url: `${target}/${path}`,
        method: 'GET',
        timeoutMs,
        maxBytes: MAX_ANSWER_BYTES,
        ...(signal === undefined ? {} : { signal }),
      }),
    ),
  );
  const read: unknown[] = [];
  for (const answer of asked) {
    if (!answer.ok) return silentNode(target, `no answer: ${answer.reason}`);
    const json = tryJson(answer.body);
    if (typeof json !== 'object' || json === null)
      return silentNode(target, `it answers ${answer.status} without JSON`);
    read.push(json);
  }
  return heardNode(one, Object.assign({}, ...read));
}

/**
 * Takes what a node said, when it is in its form and of the account that the chain shows.
 * @param report the answers of `/info` and `/readyz` in one object, or that of the agent's `/status`.
 * @param clientAccounts the accounts of all its clients, where they are known.
 */
export function heardNode(
  { target, account }: ServerTarget,
  report: unknown,
  clientAccounts?: readonly string[],
): AskedNode {
  const node = readNodeAnswer(report);
  if ('wrongField' in node) return silentNode(target, `its answer is not in its form (${node.wrongField})`);
  if (account !== undefined && node.accountId !== undefined && node.accountId !== account)
    return silentNode(target, `it answers as ${node.accountId}, and the chain shows ${account} there`);
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

function tryJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}
