import { auditHeadsAnswer } from '../../agent/audit-routes.ts';
import { AUDIT_HASH_BYTES, type AuditHead } from '../../audit/audit-chain.ts';
import { auditEvents } from '../../audit/audit-entry.ts';
import { MAX_LINE_BYTES, type VerifiedExport, verifyExport } from '../../audit/audit-export.ts';
import { equalBytes } from '../../bytes/concat.ts';
import { AccountId } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { parseWire } from '../../protocol/decode.ts';
import { boundedLines } from '../shared/bounded-lines.ts';
import { readFileChunks } from '../shared/file-io.ts';
import { readUserFile } from '../shared/user-file.ts';
import { timeOf, wholeLines } from './lines.ts';

/** Most bytes of a file of heads. */
const MAX_HEADS_BYTES = 1_048_576;

/** Options of the command. */
export interface VerifyOptions {
  readonly account?: string;
  readonly head?: readonly string[];
  readonly heads?: readonly string[];
  readonly json?: true;
}

/** `latchkey audit verify`: needs no node and no network. */
export async function verifyFile(path: string, options: VerifyOptions): Promise<void> {
  const { account, head = [], heads = [], json } = options;
  const given = head.map(headOf);
  const filed = (await Promise.all(heads.map(headsOfFile))).flat();
  const expected = account === undefined ? undefined : AccountId.parse(account, '--account');
  const counts = new Map<string, number>();
  let asked = 0;
  const witnessed = (of: AccountId): readonly AuditHead[] => {
    const all = [...given, ...filed.filter(({ server }) => equalBytes(server, of)).map((one) => one.head)];
    asked = all.length;
    return all;
  };
  const chunks = readFileChunks(path, () => undefined, 'file');
  const lines = wholeLines(boundedLines(chunks, MAX_LINE_BYTES));
  const verified = await verifyExport(lines, witnessed, ({ event }) => {
    // A hostile file may have a new event in each line.
    const name = auditEvents.some((known) => known === event) ? event : 'of other kinds';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  if (expected !== undefined && !equalBytes(expected, verified.account))
    throw new EvidenceError('AUDIT_HEAD_OTHER', 'the log is of another account', {
      field: '--account',
      expected: encodeSs58(expected),
      observed: encodeSs58(verified.account),
    });
  if (head.length + heads.length > 0 && verified.seen === 0) throw notSeen(verified, asked);
  if (json) console.log(JSON.stringify(toJson(verified, counts, asked)));
  else for (const line of linesOf(verified, counts, asked)) console.log(line);
}

/**
 * Heads that are given have to be compared. The export names its account itself, so a log of another account, or one
 * without its beginning, would pass with no head in it.
 */
const notSeen = ({ account, follows, head }: VerifiedExport, asked: number): EvidenceError =>
  new EvidenceError('AUDIT_HEAD_OTHER', 'none of the heads that were given lies in this log', {
    expected: `a head of ${encodeSs58(account)} with a number from ${follows.sequence} to ${head.sequence}`,
    observed:
      asked === 0 ? 'heads of other accounts' : `${asked} heads of entries before ${follows.sequence}`,
    hint: 'give newer heads, or the right export; without --head and --heads the log is verified by itself',
  });

/** A head in the form `sequence:0x…`. @throws EvidenceError FIELD_INVALID. */
function headOf(text: string): AuditHead {
  const [, sequence, hash] = /^([0-9]{1,16}):(0x[0-9a-fA-F]+)$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined || !Number.isSafeInteger(Number(sequence)))
    throw new EvidenceError(
      'FIELD_INVALID',
      `--head must be a number, a colon and a hash, got ${text.slice(0, 80)}`,
      {
        field: '--head',
        expected: 'such as 12:0x… with 64 hex digits',
      },
    );
  return { sequence: Number(sequence), hash: parsePrefixedHex(hash, AUDIT_HASH_BYTES, '--head') };
}

/** A head of a file, and the account of its log. */
interface FiledHead {
  readonly server: AccountId;
  readonly head: AuditHead;
}

/** Output of `latchkey audit heads`. @throws EvidenceError FIELD_INVALID. */
async function headsOfFile(path: string): Promise<readonly FiledHead[]> {
  const text = Buffer.from(await readUserFile(path, 'heads', MAX_HEADS_BYTES)).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The schema says what is expected.
  }
  return parseWire(auditHeadsAnswer, json, `--heads ${path}`).heads.map(({ server, sequence, hash }) => ({
    server: AccountId.parse(server, '--heads'),
    head: { sequence, hash: parsePrefixedHex(hash, AUDIT_HASH_BYTES, '--heads') },
  }));
}

const toJson = (verified: VerifiedExport, counts: ReadonlyMap<string, number>, asked: number) => ({
  account: encodeSs58(verified.account),
  storeId: toPrefixedHex(verified.storeId),
  follows: verified.follows.sequence,
  head: { sequence: verified.head.sequence, hash: toPrefixedHex(verified.head.hash) },
  signedAtMs: verified.signedAtMs,
  behind: verified.behind,
  headsGiven: asked,
  headsFound: verified.seen,
  events: Object.fromEntries(counts),
});

function linesOf(
  verified: VerifiedExport,
  counts: ReadonlyMap<string, number>,
  asked: number,
): readonly string[] {
  const { account, follows, head, behind, seen, signedAtMs } = verified;
  const from = follows.sequence + 1;
  return [
    `whole: entries ${from} to ${head.sequence} of ${encodeSs58(account)}, each bound to all before it`,
    follows.sequence === 0
      ? 'the log begins with the store'
      : `entries 1 to ${follows.sequence} were removed by age before the export`,
    `head ${head.sequence}:${toPrefixedHex(head.hash)}, signed by the account; its clock said ${timeOf(signedAtMs)}`,
    ...(behind === 0 ? [] : [`${behind} more entries waited for a disk that took no writes`]),
    asked === 0
      ? 'no head of a client was given: a node that wrote its whole log again would not be noticed'
      : `${seen} of ${asked} heads that were seen before are in it${seen < asked ? '; the others are of removed entries' : ''}`,
    ...[...counts].sort().map(([event, count]) => `${count} ${event}`),
  ];
}
