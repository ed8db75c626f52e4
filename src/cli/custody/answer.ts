import { appendFile, readFile } from 'node:fs/promises';
import { utf8 } from '../../bytes/concat.ts';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { PlatformHash } from '../../bytes/fixed-bytes.ts';
import { parsePrefixedHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { makeAnswer, type OwnPart, openOwnPart } from '../../custody/answer.ts';
import { describeRequest } from '../../custody/describe-request.ts';
import { entryOf, journalLine, journalWarnings, readJournal } from '../../custody/journal.ts';
import { judgePlatform } from '../../custody/judge-platform.ts';
import { type JudgedCustodyRequest, judgeRequest, type KnownManifest } from '../../custody/judge-request.ts';
import { decodeRequest } from '../../custody/request.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import { inForce } from '../../fleet/in-force.ts';
import { systemCode } from '../../store/files/disk-failure.ts';
import { parseQuote } from '../../tdx/quote.ts';
import { QuoteVerifier } from '../../tdx/verify-quote.ts';
import { readManifests } from '../fleet/read-manifests.ts';
import { readFleetPlace } from '../fleet/session.ts';
import { type CollateralFlags, collateralFor } from '../quote/collateral.ts';
import { readNow, readTrustRoot } from '../quote/inputs.ts';
import { type ConfigOptions, type RootOptions, readConfig } from '../shared/config-options.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { readTextFile } from '../shared/user-file.ts';
import { print, processIo, readLine, type StoreIo } from '../store/io.ts';
import { type KeyOptions, withCustodianKey } from './key-file.ts';

/** Longest text of a request that is read. */
const MAX_REQUEST_BYTES = 512 * 1024;

interface AnswerOptions extends ConfigOptions, RootOptions, KeyOptions, CollateralFlags {
  readonly request: string;
  readonly measurement?: readonly string[];
  readonly manifest?: readonly string[];
  readonly acceptPlatform?: string;
  readonly now?: string;
  readonly journal?: string;
  readonly confirm?: string;
  readonly out?: string;
}

/** `latchkey custody answer`: verifies a request, shows it, asks, notes the answer in the journal, and gives it. */
export async function answerRequest(options: AnswerOptions): Promise<void> {
  const io = processIo();
  const judged = await judge(options);
  await withCustodianKey(options, async ({ seed }) => {
    const own = openOwnPart(judged.request, seed);
    try {
      await confirmAndAnswer(io, options, judged, own);
    } finally {
      own.part.fill(0);
    }
  });
}

async function judge(options: AnswerOptions): Promise<JudgedCustodyRequest> {
  const { trust } = await readConfig(options.config);
  const request = decodeRequest(await readTextFile(options.request, 'request', MAX_REQUEST_BYTES));
  const verifier = new QuoteVerifier({ trustRoot: readTrustRoot(options.insecureTrustRoot) });
  const nowMs = readNow(options.now);
  const quote = parseQuote(request.quote, { trailing: 'allow-zero-padding' });
  const { acceptPlatform } = options;
  return judgeRequest(request, {
    trust,
    manifest: await knownManifest(options, nowMs),
    acceptedPlatform:
      acceptPlatform === undefined ? undefined : PlatformHash.parse(acceptPlatform, 'accept-platform'),
    measurements: (options.measurement ?? []).map((id) => parsePrefixedHex(id, 32, 'measurement')),
    verifier,
    collateral: await collateralFor(quote, options, verifier, nowMs),
    nowMs,
  });
}

/** The custodian's copies, taken in their order; permissions count from the date that the authority wrote. */
async function knownManifest(
  { config, manifest: paths = [] }: AnswerOptions,
  nowMs: number,
): Promise<KnownManifest | undefined> {
  if (paths.length === 0) return undefined;
  const state = await readManifests(await readFleetPlace(config), paths, { nowMs, chainMs: nowMs });
  if (state.newest === undefined) return undefined;
  const { serial, issuedAtMs } = state.newest.header.header;
  const isDisputed = state.pending !== undefined || state.offered?.conflicting !== undefined;
  return { serial, issuedAtMs, isDisputed, inForce: inForce(state, { nowMs, chainMs: nowMs }, 'issue') };
}

async function confirmAndAnswer(
  io: StoreIo,
  options: AnswerOptions,
  judged: JudgedCustodyRequest,
  own: OwnPart,
): Promise<void> {
  const path = options.journal ?? `${options.key}.journal`;
  const entry = entryOf(judged, readNow(options.now));
  const warnings = [
    ...judged.warnings,
    ...judgePlatform(judged, own.part),
    ...journalWarnings(readJournal(await readIfThere(path)), entry),
  ];
  const lines = [...describeRequest(judged, own), ...warnings.map((text) => `WARNING: ${text}`)];
  for (const line of lines) io.stderr.write(`${escapeControls(line)}\n`);
  await requireConfirmed(io, options, encodeSs58(judged.request.account));
  // Before the answer leaves: what is not in the journal is not warned of.
  await appendFile(path, journalLine(entry), { mode: 0o600, flush: true });
  const answer = makeAnswer(judged, own);
  if (options.out === undefined) await print(io.stdout, answer);
  else await writeNewFile(options.out, 'out', (write) => write(utf8(answer)));
}

async function requireConfirmed(io: StoreIo, { confirm }: AnswerOptions, account: string): Promise<void> {
  const given = confirm ?? (await askForAccount(io));
  if (given === account) return;
  throw new RefusalError('CUSTODY_UNCONFIRMED', 'the account that asks was not confirmed', {
    expected: account,
    hint: 'ask the operator by another way whether this node is locked, and type its account or give it by --confirm; nothing was answered',
  });
}

async function askForAccount(io: StoreIo): Promise<string> {
  if (!io.terminal.stdin) return '';
  io.stderr.write('Type the account, from a source of your own, to give it your part: ');
  return (await readLine(io.stdin)).trim();
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  }
}
