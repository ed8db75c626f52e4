import canonicalize from 'canonicalize';
import { z } from 'zod';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { AccountId } from '../bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../bytes/hex.ts';
import { u64BigEndian } from '../bytes/integers.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { sr25519Sign, sr25519Verify } from '../crypto/sr25519.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { AUDIT_HASH_BYTES, type AuditHead, encodeHead, extend, sameHead, startOfLog } from './audit-chain.ts';
import { type AuditEntry, decodeEntry, exactText, MAX_ENTRY_BYTES } from './audit-entry.ts';
import type { AuditLog } from './audit-log.ts';

const FORMAT = 'latchkey-audit/1';
const HEAD_LABEL = utf8('latchkey/v1/audit-head');
/** Most bytes of a line of an export. */
export const MAX_LINE_BYTES = MAX_ENTRY_BYTES;

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`));
const headerSchema = z.strictObject({
  account: z.string(),
  follows: z.strictObject({ hash: hex(AUDIT_HASH_BYTES), sequence: z.int().nonnegative() }),
  format: z.literal(FORMAT),
  storeId: hex(16),
});
const trailerSchema = z.strictObject({
  behind: z.int().nonnegative(),
  head: z.strictObject({ hash: hex(AUDIT_HASH_BYTES), sequence: z.int().nonnegative() }),
  signature: hex(64),
  signedAtMs: z.int().nonnegative(),
});

/** The node that exports its log. */
export interface ExportingNode {
  readonly account: AccountId;
  readonly accountSeed: SecretBytes;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
}

/**
 * An audit log as lines of text, each with its newline: a header that names the store and what the first entry follows,
 * the exact bytes of each entry, and the head, signed by the account of the node together with what the first entry
 * follows: otherwise anybody could cut off the beginning.
 * @throws what the store throws.
 */
export async function* exportLog(
  log: Pick<AuditLog, 'base' | 'behind' | 'entries' | 'flush' | 'read'>,
  node: ExportingNode,
  nowMs: number,
): AsyncGenerator<Uint8Array> {
  const { account, storeId } = node;
  await log.read();
  // What cannot be written now is not part of the log yet.
  await log.flush().catch(() => undefined);
  const { base: follows, behind } = log;
  let head = follows;
  yield line({
    account: encodeSs58(account),
    follows: toJson(follows),
    format: FORMAT,
    storeId: toPrefixedHex(storeId),
  });
  for await (const entry of log.entries(head.sequence + 1)) {
    yield concatBytes(entry.bytes, NEWLINE);
    head = entry.head;
  }
  const message = headMessage({ storeId, follows, head, behind, signedAtMs: nowMs });
  const signature = toPrefixedHex(sr25519Sign(node.accountSeed.reveal(), message));
  yield line({ behind, head: toJson(head), signature, signedAtMs: nowMs });
}

const NEWLINE = utf8('\n');
const line = (value: object): Uint8Array => utf8(`${canonicalize(value) ?? ''}\n`);
const toJson = ({ sequence, hash }: AuditHead) => ({ hash: toPrefixedHex(hash), sequence });

/** What the account signs: `<Bytes>`, label ‖ store id ‖ follows ‖ head ‖ u64 behind ‖ u64 milliseconds, `</Bytes>`. */
const headMessage = (
  signed: Pick<VerifiedExport, 'storeId' | 'follows' | 'head' | 'behind' | 'signedAtMs'>,
): Uint8Array =>
  concatBytes(
    utf8('<Bytes>'),
    HEAD_LABEL,
    signed.storeId,
    encodeHead(signed.follows),
    encodeHead(signed.head),
    u64BigEndian(signed.behind),
    u64BigEndian(signed.signedAtMs),
    utf8('</Bytes>'),
  );

/** What a verified export proves. */
export interface VerifiedExport {
  readonly account: AccountId;
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  /** What the first entry follows; number 0: the log is complete from its beginning. */
  readonly follows: AuditHead;
  readonly head: AuditHead;
  /** Entries that the node had in memory and could not write yet. */
  readonly behind: number;
  readonly signedAtMs: number;
  /** How many of the expected heads lie within the export. */
  readonly seen: number;
}

/**
 * Verifies an export line by line: every hash, the numbers, the signature of the account over both ends. Heads that
 * somebody else kept, as servers' clients do, have to lie in it.
 * @param lines without newlines, each at most {@link MAX_LINE_BYTES}.
 * @param witnessed gives the heads that the log of an account has to contain; one before its first entry proves nothing and is
 *   not counted.
 * @param onEntry is called for each entry, in order.
 * @throws EvidenceError AUDIT_EXPORT_INVALID, AUDIT_CHAIN_BROKEN, AUDIT_HEAD_OTHER, AUDIT_ENTRY_INVALID.
 */
export async function verifyExport(
  lines: AsyncIterable<Uint8Array>,
  witnessed: (account: AccountId) => readonly AuditHead[],
  onEntry: (entry: AuditEntry) => void,
): Promise<VerifiedExport> {
  const expected = new Map<number, AuditHead[]>();
  let seen = 0;
  const look = (at: AuditHead): AuditHead => {
    for (const other of expected.get(at.sequence) ?? []) {
      if (!sameHead(other, at)) throw otherHead(other, at);
      seen++;
    }
    return at;
  };
  let read: { readonly start: Start; head: AuditHead; lastLine?: Uint8Array } | undefined;
  for await (const bytes of lines) {
    if (read === undefined) {
      const start = readHeader(bytes);
      for (const head of witnessed(start.account))
        expected.set(head.sequence, [...(expected.get(head.sequence) ?? []), head]);
      read = { start, head: look(start.follows) };
      continue;
    }
    // A line is an entry once another line follows: the last one is the signed head.
    if (read.lastLine !== undefined) read.head = look(nextHead(read.head, read.lastLine, onEntry));
    read.lastLine = bytes;
  }
  if (read?.lastLine === undefined) throw invalid('the file ends before the signed head');
  const { start, head, lastLine } = read;
  const { behind, signedAtMs } = readTrailer(lastLine, start, head);
  const ahead = [...expected.values()].flat().find(({ sequence }) => sequence > head.sequence);
  if (ahead !== undefined) throw otherHead(ahead, head);
  return { ...start, head, behind, signedAtMs, seen };
}

/** What the header of an export says. */
type Start = Pick<VerifiedExport, 'account' | 'storeId' | 'follows'>;

function readHeader(bytes: Uint8Array): Start {
  const { account, storeId, follows } = readLine(headerSchema, bytes, 'header');
  const start = {
    account: AccountId.parse(account, 'account'),
    storeId: fromHex(storeId),
    follows: fromJson(follows),
  };
  const beginning = startOfLog(start.account, start.storeId);
  if (start.follows.sequence === 0 && !sameHead(start.follows, beginning))
    throw new EvidenceError(
      'AUDIT_CHAIN_BROKEN',
      'the log does not begin with the hash of its account and store',
      {
        expected: toPrefixedHex(beginning.hash),
        observed: toPrefixedHex(start.follows.hash),
      },
    );
  return start;
}

/** @throws EvidenceError AUDIT_ENTRY_INVALID naming the place. */
function entryAfter({ sequence }: AuditHead, bytes: Uint8Array): AuditEntry {
  try {
    return decodeEntry(bytes);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    const { code, message, expected, observed } = error;
    throw new EvidenceError(code, `${message}: the line after entry ${sequence}`, {
      ...(expected === undefined ? {} : { expected }),
      ...(observed === undefined ? {} : { observed }),
      cause: error,
    });
  }
}

function nextHead(head: AuditHead, bytes: Uint8Array, onEntry: (entry: AuditEntry) => void): AuditHead {
  const entry = entryAfter(head, bytes);
  if (entry.sequence !== head.sequence + 1)
    throw new EvidenceError('AUDIT_CHAIN_BROKEN', `entry ${entry.sequence} follows entry ${head.sequence}`, {
      expected: `${head.sequence + 1}`,
      observed: `${entry.sequence}`,
    });
  onEntry(entry);
  return extend(head, bytes);
}

function readTrailer(
  bytes: Uint8Array,
  start: Start,
  head: AuditHead,
): Pick<VerifiedExport, 'behind' | 'signedAtMs'> {
  const trailer = readLine(trailerSchema, bytes, 'signed head');
  const signed = fromJson(trailer.head);
  if (!sameHead(signed, head))
    throw new EvidenceError('AUDIT_CHAIN_BROKEN', 'the entries do not lead to the head that was signed', {
      expected: `${signed.sequence} ${toPrefixedHex(signed.hash)}`,
      observed: `${head.sequence} ${toPrefixedHex(head.hash)}`,
      hint: 'an entry was changed, left out, added or moved',
    });
  const { behind, signedAtMs } = trailer;
  const message = headMessage({ ...start, head, behind, signedAtMs });
  if (!sr25519Verify(message, fromHex(trailer.signature), start.account))
    throw new EvidenceError('AUDIT_CHAIN_BROKEN', 'the signature of the head is not of the account', {
      field: 'signature',
      hint: 'the export is of another node, or was changed; its beginning may be cut off',
    });
  return { behind, signedAtMs };
}

function readLine<Value>(schema: z.ZodType<Value>, bytes: Uint8Array, what: string): Value {
  const text = exactText(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`the ${what} is not JSON`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success && canonicalize(parsed.data) === text) return parsed.data;
  throw invalid(`the ${what}: ${parsed.error?.issues[0]?.message ?? 'not canonical JSON'}`);
}

const fromHex = (text: string): Uint8Array => parsePrefixedHex(text, (text.length - 2) / 2, 'audit');
const fromJson = ({ sequence, hash }: { readonly sequence: number; readonly hash: string }): AuditHead => ({
  sequence,
  hash: fromHex(hash),
});

const invalid = (observed: string): EvidenceError =>
  new EvidenceError('AUDIT_EXPORT_INVALID', `this is no export of an audit log: ${observed}`, {
    expected: 'the output of `latchkey audit export`',
    observed,
  });

const otherHead = (witnessed: AuditHead, observed: AuditHead): EvidenceError =>
  new EvidenceError(
    'AUDIT_HEAD_OTHER',
    `the log is not the one whose entry ${witnessed.sequence} was seen before`,
    {
      expected: `${witnessed.sequence} ${toPrefixedHex(witnessed.hash)}`,
      observed: `${observed.sequence} ${toPrefixedHex(observed.hash)}`,
      hint: 'entries were removed or changed after the head was seen, or the log is an older one',
    },
  );
