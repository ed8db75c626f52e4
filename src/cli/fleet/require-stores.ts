import { encodeSs58 } from '../../bytes/ss58.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import type { ManifestContent } from '../../fleet/manifest.ts';
import type { Vouching } from '../../fleet/vouched.ts';
import { systemClock } from '../../time/clock.ts';
import { readConfig } from '../shared/config-options.ts';
import { type NodeStatus, type ReadStatus, readStatusFiles } from './node-status-file.ts';
import { judgeStore, riskText } from './stores-at-risk.ts';

/** How a draft learns of the stores of the fleet. */
export interface StoreOptions {
  readonly config: string;
  /** Files that `latchkey status --json` wrote. */
  readonly status?: readonly string[];
  /** Whether all registered servers are read from the chain. */
  readonly chain?: true;
  readonly acceptUnknown?: true;
}

/**
 * Refuses a manifest that would lock a store at the next restart of its node, by what the nodes say about their slots.
 * @throws RefusalError FLEET_DRAFT_REFUSED, also when a store cannot be judged and this was not accepted.
 */
export async function requireNoLockedStore(
  content: ManifestContent,
  vouching: Vouching,
  options: StoreOptions,
): Promise<void> {
  const read = await readStatusFiles(options.status ?? [], Date.now());
  const known = read.filter((status) => 'keyslots' in status);
  for (const line of finishedMoves(content, known)) warn(line);
  if (!vouching.takesAway) return;
  const judged = known.map((status) => ({ status, verdict: judgeStore(status.keyslots, vouching) }));
  const atRisk = judged.flatMap(({ status, verdict }) =>
    verdict.kind === 'at-risk' ? [riskText(status, verdict)] : [],
  );
  for (const line of atRisk) warn(line);
  if (atRisk.length > 0)
    throw refused(`this manifest would lock ${atRisk.length} stores at the next restart of their nodes`, {
      field: 'status',
      hint: 'take away one platform after the other, each time until all nodes are backed at other servers; or add key servers and endorse their platforms first, and wait for the delay',
    });
  const unknown = [
    ...withoutStatus(read),
    ...judged.flatMap(({ status, verdict }) =>
      verdict.kind === 'unknown'
        ? [`${status.account}: its node does not know the platforms of its slots`]
        : [],
    ),
    ...(await withoutFile(read, options)),
  ];
  for (const line of unknown) warn(`not asked: ${line}`);
  if (unknown.length > 0 && options.acceptUnknown !== true)
    throw refused('this manifest takes platforms away, and not every store that may need them was asked', {
      field: 'status',
      hint: 'run `latchkey status --json` on each node and give the files by --status, with --chain; or repeat with --accept-unknown',
    });
}

const withoutStatus = (read: readonly ReadStatus[]): readonly string[] =>
  read.flatMap((status) => ('unknown' in status ? [`${status.account}: ${status.unknown}`] : []));

/** Accounts without a file: of the chain, or as far as the files name them. */
async function withoutFile(
  read: readonly ReadStatus[],
  { chain, config }: StoreOptions,
): Promise<readonly string[]> {
  const given = new Set(read.map(({ account }) => account));
  const named = chain === true ? await registeredAccounts(config) : serversIn(read);
  const missing = [...new Set(named)].filter((account) => !given.has(account)).sort();
  return [
    ...missing.map((account) => `${account}: no status file`),
    ...(chain === true ? [] : ['other accounts of the chain: it was not read (--chain)']),
  ];
}

const serversIn = (read: readonly ReadStatus[]): readonly string[] =>
  read.flatMap((status) => ('keyslots' in status ? status.keyslots.slots.map(({ server }) => server) : []));

/** @throws ProblemError CHAIN_UNAVAILABLE. */
async function registeredAccounts(configPath: string): Promise<readonly string[]> {
  // A whole node is loaded with it, and most commands of the fleet read no chain.
  const { chainOf } = await import('../../node/parts.ts');
  const { silentLog } = await import('../../observe/log.ts');
  const chain = chainOf(await readConfig(configPath), silentLog, systemClock);
  try {
    const { servers } = await chain.snapshot();
    return servers.map(({ account }) => encodeSs58(account));
  } finally {
    await chain[Symbol.asyncDispose]();
  }
}

/** Moves that a manifest keeps although their nodes are backed where they lead. */
function finishedMoves({ body }: ManifestContent, known: readonly NodeStatus[]): readonly string[] {
  if (body.kind === 'handover') return [];
  return body.moves.flatMap(({ account, from, to }) => {
    const node = known.find((status) => status.account === account);
    const isDone = node?.state === 'backed' && node.isBoundHere && node.keyslots.platform === to;
    return isDone ? [`a finished move stays: ${account} from ${from} to ${to}; take it out`] : [];
  });
}

const warn = (line: string): void => void process.stderr.write(`${line}\n`);

const refused = (message: string, details: { readonly field: string; readonly hint: string }): RefusalError =>
  new RefusalError('FLEET_DRAFT_REFUSED', message, details);
