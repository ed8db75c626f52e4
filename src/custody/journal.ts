import { z } from 'zod';
import { toHex, toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { JudgedCustodyRequest } from './judge-request.ts';
import { custodyReportData, MAX_DATE_MS } from './request.ts';

const entrySchema = z.strictObject({
  answeredAtMs: z.int().nonnegative().max(MAX_DATE_MS),
  account: z.string().max(64),
  storeId: z.string().max(80),
  generation: z.int().min(1),
  platform: z.string().max(80),
  measurement: z.string().max(80),
  sequence: z.int().nonnegative().optional(),
  changedAtMs: z.int().nonnegative().optional(),
  block: z.int().nonnegative(),
  request: z.string().max(160),
});

/** One answer that a custodian gave. */
export type JournalEntry = z.output<typeof entrySchema>;

/** The entry for an answer to a judged request. */
export const entryOf = (
  { request, verified, measurement }: JudgedCustodyRequest,
  answeredAtMs: number,
): JournalEntry => ({
  answeredAtMs,
  account: encodeSs58(request.account),
  storeId: toPrefixedHex(request.storeId),
  generation: request.generation,
  platform: toHex(verified.platform.ppid),
  measurement: toPrefixedHex(measurement),
  ...(request.report.sequence === undefined ? {} : { sequence: request.report.sequence }),
  ...(request.report.changedAtMs === undefined ? {} : { changedAtMs: request.report.changedAtMs }),
  block: request.finalized.number,
  request: toPrefixedHex(custodyReportData(request)),
});

/** The line of an entry in the journal, with its line break. */
export const journalLine = (entry: JournalEntry): string => `${JSON.stringify(entry)}\n`;

/**
 * Reads a journal.
 * @throws EvidenceError CUSTODY_BLOCK_MALFORMED naming the line: a custodian who lost the journal must notice.
 */
export function readJournal(text: string): readonly JournalEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        return entrySchema.parse(JSON.parse(line));
      } catch (cause) {
        throw new EvidenceError('CUSTODY_BLOCK_MALFORMED', `line ${index + 1} of the journal is damaged`, {
          field: `journal line ${index + 1}`,
          hint: 'correct the line by hand; warnings about repeated requests depend on it',
          cause,
        });
      }
    });
}

/** Sentences about what the journal shows against a request; empty when nothing is unusual. */
export function journalWarnings(
  journal: readonly JournalEntry[],
  candidate: JournalEntry,
): readonly string[] {
  const former = journal.filter(({ account }) => account === candidate.account);
  if (former.length === 0) {
    return ['this account was never answered before: compare it with the account of the node on the chain'];
  }
  return [
    ...sameMachineWarnings(former, candidate),
    ...former.flatMap((entry) => {
      const when = `an answer of ${date(entry.answeredAtMs)}`;
      return [
        ...(entry.platform === candidate.platform
          ? []
          : [`another machine asks than in ${when} (platform ${entry.platform}): two may run from one disk`]),
        ...(entry.storeId === candidate.storeId ? [] : [`another store than in ${when}`]),
        ...(candidate.generation < entry.generation
          ? [`generation ${candidate.generation} is lower than ${entry.generation} in ${when}: an older disk`]
          : []),
        ...(isLess(candidate.sequence, entry.sequence) || isLess(candidate.changedAtMs, entry.changedAtMs)
          ? [`the disk is older than in ${when}`]
          : []),
        ...(candidate.block < entry.block ? [`the block of the request is older than in ${when}`] : []),
      ];
    }),
  ];
}

const date = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ');

/** A machine can run twice from copies of one disk, and every start makes a request of its own. */
function sameMachineWarnings(former: readonly JournalEntry[], candidate: JournalEntry): readonly string[] {
  const last = former.findLast(({ platform }) => platform === candidate.platform);
  if (last === undefined || last.request === candidate.request) return [];
  return [
    `another process of this machine asks than in the answer of ${date(last.answeredAtMs)}: has that one ended? Two may run from one disk`,
  ];
}

const isLess = (value: number | undefined, former: number | undefined): boolean =>
  value !== undefined && former !== undefined && value < former;
