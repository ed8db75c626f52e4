import { rename, rm, writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { toHex, tryFromHex } from '../../bytes/hex.ts';
import type { PlatformKind } from '../../collateral/collateral-source.ts';
import { fetchCollateralOnce } from '../../collateral/fetch-once.ts';
import { INTEL_PCS_URL, type TcbUpdate } from '../../collateral/service-client.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import type { CollateralDocuments } from '../../tdx/collateral.ts';
import { type CollateralFacts, parseQuote, platformOf, QuoteVerifier } from '../../tdx/verify-quote.ts';
import { readCollateral, readInput, readTrustRoot, requireServiceUrls } from '../quote/inputs.ts';

/** `latchkey collateral`: gets and checks what Intel says about platforms. */
export function collateralCommand(): Command {
  const collateral = new Command('collateral').description(
    'get and check the collateral that quotes are verified with',
  );
  const root = new Option('--insecure-trust-root <pem>', 'DANGER: trust this root instead of Intel’s');
  collateral
    .command('fetch')
    .description('fetch and verify one set, for use with --collateral on machines without network')
    .addOption(new Option('--fmspc <hex>', '12 hex digits').argParser(parseFmspc).conflicts('quote'))
    .addOption(new Option('--quote <file>', 'take FMSPC and CA from this quote').conflicts('ca'))
    .addOption(new Option('--ca <ca>', 'default: platform').choices(['platform', 'processor']))
    .option('--pccs <url...>', 'services, tried in this order', [INTEL_PCS_URL])
    .addOption(
      new Option('--update <kind>', 'generation of TCB info')
        .choices(['early', 'standard'])
        .default('standard'),
    )
    .addOption(root)
    .requiredOption('--out <file>', 'where to write the set; - for standard output')
    .option('--json', 'print the summary as JSON')
    .action(fetchSet);
  collateral
    .command('check')
    .description('verify a set: exit 0 usable now, 1 not')
    .argument('<file>', 'the set, JSON')
    .addOption(root)
    .option('--json', 'print the summary as JSON')
    .action(checkSet);
  return collateral;
}

interface CommonFlags {
  readonly insecureTrustRoot?: string;
  readonly json?: boolean;
}

interface FetchFlags extends CommonFlags {
  readonly fmspc?: Uint8Array;
  readonly quote?: string;
  readonly ca?: PlatformKind['ca'];
  readonly pccs: readonly string[];
  readonly update: TcbUpdate;
  readonly out: string;
}

async function fetchSet(flags: FetchFlags): Promise<void> {
  const platform = platformKind(flags);
  const verifier = verifierOf(flags);
  const { update, out } = flags;
  const endpoints = requireServiceUrls(flags.pccs);
  const nowMs = Date.now();
  const documents = await fetchCollateralOnce(platform, { endpoints, verifier, nowMs, update });
  const facts = verifier.checkCollateral(documents, { nowMs, fmspc: platform.fmspc, ca: platform.ca });
  await writeSet(out, documents);
  // The set itself may go to standard output: what people read goes beside it.
  process.stderr.write(summary(facts, flags.json === true));
}

function checkSet(file: string, flags: CommonFlags): void {
  const facts = verifierOf(flags).checkCollateral(readCollateral(file), { nowMs: Date.now() });
  process.stdout.write(summary(facts, flags.json === true));
}

function platformKind(flags: FetchFlags): PlatformKind {
  if (flags.quote !== undefined) {
    return platformOf(parseQuote(readInput(flags.quote), { trailing: 'allow-zero-padding' }));
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
    validUntil: new Date(facts.validUntilMs).toISOString(),
  };
  if (json) return `${JSON.stringify(shown)}\n`;
  return [
    `collateral for FMSPC ${shown.fmspc} (${shown.ca} CA): every signature, date and CRL verified`,
    `  TCB evaluation data number ${shown.tcbEvaluationDataNumber}, valid until ${shown.validUntil}`,
    '',
  ].join('\n');
}

function parseFmspc(text: string): Uint8Array {
  const bytes = tryFromHex(text);
  if (bytes?.length === 6) return bytes;
  throw new InvalidArgumentError('an FMSPC is 12 hex digits');
}
