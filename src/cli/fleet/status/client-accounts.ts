import { drainAnswer } from '../../../agent/drain-routes.ts';

/** The accounts of the clients of a node, by its agent's `GET /drain`; `undefined` when not all of them are listed. */
export function readClientAccounts(answer: unknown): readonly string[] | undefined {
  const { data } = drainAnswer.safeParse(answer);
  if (data === undefined || data.clients.length < data.remaining + data.unmovable) return undefined;
  return data.clients.map(({ accountId }) => accountId);
}
