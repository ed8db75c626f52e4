import { z } from 'zod';
import { malformedFile } from '../../fleet/manifest-file.ts';
import { MAX_SLOTS } from '../../keyslots/threshold.ts';
import { DAY_MS } from '../../trust/section-values.ts';
import { readTextFile } from '../shared/user-file.ts';

const MAX_STATUS_BYTES = 1024 * 1024;
/** Slots change: an older status says nothing about today. */
const MAX_AGE_MS = DAY_MS;
/** Clocks of two machines differ. */
const MAX_AHEAD_MS = 15 * 60_000;

/** Texts go to a terminal, so each has a pattern. */
const account = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{40,64}$/);
const platform = z.string().regex(/^0x[0-9a-f]{64}$/);
const count = z.int().min(1).max(MAX_SLOTS);

const keyslots = z.object({
  readAt: z.iso.datetime(),
  platform,
  t: count,
  n: count,
  slots: z
    .array(z.object({ server: account, platform: platform.optional(), isLive: z.boolean() }))
    .max(MAX_SLOTS),
});

/** The part of `latchkey status --json` that counts here; fields of later releases are no fault. */
const schema = z.object({
  accountId: account.optional(),
  state: z.string().regex(/^[a-z]{1,20}$/),
  slots: z.array(z.object({ isBoundElsewhere: z.boolean().optional() })).default([]),
  keyslots: keyslots.optional(),
});

/** What a node said about the slots of its store, on its agent's socket. */
export interface NodeStatus {
  /** SS58. */
  readonly account: string;
  readonly state: string;
  /** Whether each slot gives its key to the platform that the node runs on now. */
  readonly isBoundHere: boolean;
  readonly keyslots: z.output<typeof keyslots>;
}

/** What one file says: of the slots, or why it says nothing. */
export type ReadStatus = NodeStatus | { readonly account: string; readonly unknown: string };

/**
 * Reads files that `latchkey status --json` wrote.
 * @throws ProblemError STORE_FILE_UNREADABLE, EvidenceError FLEET_FILE_MALFORMED, also when two are of one account.
 */
export async function readStatusFiles(
  paths: readonly string[],
  nowMs: number,
): Promise<readonly ReadStatus[]> {
  const read = new Map<string, ReadStatus>();
  for (const path of paths) {
    const status = statusOf(path, await readTextFile(path, 'status', MAX_STATUS_BYTES), nowMs);
    if (read.has(status.account))
      throw malformedFile(path, 'one status of each account', `a second one of ${status.account}`);
    read.set(status.account, status);
  }
  return [...read.values()];
}

function statusOf(path: string, text: string, nowMs: number): ReadStatus {
  const parsed = schema.safeParse(tryJson(text));
  const issue = parsed.error?.issues[0];
  if (!parsed.success)
    throw malformedFile(
      [path, ...(issue?.path ?? [])].join(' '),
      'output of `latchkey status --json`',
      issue?.message ?? 'other text',
    );
  const { accountId, state, slots, keyslots } = parsed.data;
  if (accountId === undefined)
    throw malformedFile(path, 'the status of a node with an account', `a node that is ${state}`);
  const unknown = (why: string): ReadStatus => ({ account: accountId, unknown: why });
  if (state !== 'backed' && state !== 'degraded') return unknown(`its node is ${state}`);
  if (keyslots === undefined) return unknown('its status has no keyslots: the node runs an older release');
  const ageMs = nowMs - Date.parse(keyslots.readAt);
  if (ageMs > MAX_AGE_MS || ageMs < -MAX_AHEAD_MS)
    return unknown(`its status is of ${keyslots.readAt}, which is not within the last day`);
  const isBoundHere = slots.every(({ isBoundElsewhere }) => isBoundElsewhere !== true);
  return { account: accountId, state, isBoundHere, keyslots };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
