import { rename, rm, writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import { fetchCollateralOnce } from '../../collateral/fetch-once.ts';
import type { PlatformKind } from '../../collateral/platform-kind.ts';
import { INTEL_PCS_URL } from '../../collateral/service-client.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../tdx/collateral.ts';
import { type CollateralFacts, platformOf, QuoteVerifier } from '../../tdx/verify-quote.ts';
import {
  type QuoteEncoding,
  quoteEncodings,
  readCollateral,
  readNow,
  readQuote,
  readTrustRoot,
  requireServiceUrls,
  type UpdateFlags,
  updateOf,
  updateOptions,
} from '../quote/inputs.ts';

/** `latchkey collateral`: fetches and checks Intel's collateral for platforms. */
export function collateralCommand(): Command {
  const collateral = new Command('collateral').description(
    'get and check the collateral that quotes are verified with',
  );
  const root = new Option('--insecure-trust-root <pem>', 'DANGER: trust this root instead of Intel’s');
  const encodingOption = new Option('--encoding <kind>', 'how the quote of --quote is written')
    .choices(quoteEncodings)
    .default('binary');
  const [update, evaluationNumber] = updateOptions();
  collateral
    .command('fetch')
    .description('fetch and verify one set, for use with --collateral on machines without network')
    .addOption(new Option('--fmspc <hex>', '12 hex digits').argParser(parseFmspc).conflicts('quote'))
    .addOption(new Option('--quote <file>', 'take FMSPC and CA from this quote').conflicts('ca'))
    .addOption(new Option('--ca <ca>', 'default: platform').choices(['platform', 'processor']))
    .option('--pccs <url...>', 'services, tried in this order', [INTEL_PCS_URL])
    .addOption(encodingOption)
    .addOption(update)
    .addOption(evaluationNumber)
    .addOption(root)
    .requiredOption('--out <file>', 'where to write the set; - for standard output')
    .option('--json', 'print the summary as JSON')
    .action(fetchSet);
  collateral
    .command('check')
    .description('verify a set: exit 0 usable now, 1 not')
    .argument('<file>', 'the set, JSON')
    .option('--now <time>', 'check as of this ISO 8601 time instead of now')
    .addOption(root)
    .option('--json', 'print the summary as JSON')
    .action(checkSet);
  return collateral;
}

interface CommonFlags {
  readonly insecureTrustRoot?: string;
  readonly json?: boolean;
}

interface FetchFlags extends CommonFlags, UpdateFlags {
  readonly fmspc?: Uint8Array;
  readonly quote?: string;
  readonly ca?: PlatformKind['ca'];
  readonly pccs: readonly string[];
  readonly encoding: QuoteEncoding;
  readonly out: string;
}

async function fetchSet(flags: FetchFlags): Promise<void> {
  const platform = platformKind(flags);
  const verifier = verifierOf(flags);
  const { out } = flags;
  const update = updateOf(flags);
  const endpoints = requireServiceUrls(flags.pccs);
  const nowMs = Date.now();
  const documents = await fetchCollateralOnce(platform, { endpoints, verifier, nowMs, update });
  const facts = verifier.checkCollateral(documents, { nowMs, fmspc: platform.fmspc, ca: platform.ca });
  await writeSet(out, documents);
  // The collateral set may go to standard output, so the summary for people goes to standard error.
  process.stderr.write(summary(facts, flags.json === true));
}

function checkSet(file: string, flags: CommonFlags & { readonly now?: string }): void {
  const nowMs = readNow(flags.now);
  const facts = verifierOf(flags).checkCollateral(readCollateral(file), { nowMs });
  process.stdout.write(summary(facts, flags.json === true));
}

function platformKind(flags: FetchFlags): PlatformKind {
  if (flags.quote !== undefined) {
    return platformOf(readQuote(flags.quote, flags.encoding));
  }
  if (flags.fmspc !== undefined) return { fmspc: flags.fmspc, ca: flags.ca ?? 'platform' };
  throw new ProblemError('INPUT_UNREADABLE', 'which platform? --fmspc HEX, or --quote FILE', {
    field: '--fmspc',
  });
}

function verifierOf({ insecureTrustRoot }: CommonFlags): QuoteVerifier {
  const verifier = new QuoteVerifier({ trustRoot: readTrustRoot(insecureTrustRoot) });
  if (!verifier.trustRoot.isIntel) {
    process.stderr.write(
      'latchkey: INSECURE: trusting an injected root; whoever holds its key can forge quotes\n',
    );
  }
  return verifier;
}

/** All or nothing: a half-written set would be refused later, on a machine that cannot fetch another. */
async function writeSet(out: string, documents: CollateralDocuments): Promise<void> {
  const text = `${JSON.stringify(documents)}\n`;
  if (out === '-') {
    process.stdout.write(text);
    return;
  }
  const temporary = `${out}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, out);
  } catch (cause) {
    await rm(temporary, { force: true });
    const observed = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError('INPUT_UNREADABLE', `cannot write ${out}: ${observed}`, { field: '--out', cause });
  }
}

function summary(facts: CollateralFacts, json: boolean): string {
  const shown = {
    fmspc: toHex(facts.fmspc).toUpperCase(),
    ca: facts.ca,
    tcbEvaluationDataNumber: facts.tcbEvaluationDataNumber,
    evaluationNumbers: facts.evaluationNumbers,
    validUntil: new Date(facts.validUntilMs).toISOString(),
  };
  if (json) return `${JSON.stringify(shown)}\n`;
  return [
    `collateral for FMSPC ${shown.fmspc} (${shown.ca} CA): every signature, date and CRL verified`,
    `  TCB evaluation data number ${describeNumbers(facts)}, valid until ${shown.validUntil}`,
    '',
  ].join('\n');
}

const describeNumbers = ({ evaluationNumbers: { tcbInfo, qeIdentity } }: CollateralFacts): string =>
  tcbInfo === qeIdentity ? `${tcbInfo}` : `${tcbInfo} (TCB info) and ${qeIdentity} (QE identity)`;

function parseFmspc(text: string): Uint8Array {
  const bytes = tryFromHex(text);
  if (bytes?.length === 6) return bytes;
  throw new InvalidArgumentError('an FMSPC is 12 hex digits');
}
