import { Command, Option } from 'commander';
import { LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { describeQuote } from '../../inspect/describe-quote.ts';
import { QuoteVerifier } from '../../tdx/verify-quote.ts';
import { answerOf, decide, decideChainOnly, type Outcome } from '../quote/answer.ts';
import { type CollateralFlags, collateralFor } from '../quote/collateral.ts';
import {
  type QuoteEncoding,
  quoteEncodings,
  readCollateral,
  readNow,
  readPolicy,
  readQuote,
  readTrustRoot,
  updateOptions,
} from '../quote/inputs.ts';
import { formatQuote } from '../quote/inspect.ts';
import { formatChainReport, formatReport, formatVerdict } from '../quote/report.ts';
import { runQuoteStream } from '../quote/stream.ts';
import { exitCodes } from '../shared/failure.ts';

/** `latchkey quote`: shows TDX quotes, and verifies them. */
export function quoteCommand(): Command {
  const [update, evaluationNumber] = updateOptions('collateral', 'jsonl', 'chainOnly');
  const quote = new Command('quote').description('inspect and verify Intel TDX quotes');
  quote
    .command('inspect')
    .description('print every field of a quote; verifies nothing')
    .argument('<file>', 'the quote')
    .addOption(encodingOption())
    .option('--json', 'print JSON')
    .action(inspect);
  quote
    .command('verify')
    .description('verify a quote: exit 0 accepted, 1 refused, 2 could not decide')
    .argument('[file]', 'the quote; absent with --jsonl')
    .addOption(encodingOption())
    .option('--collateral <file>', 'a collateral set, JSON')
    .addOption(
      new Option('--pccs <url...>', 'fetch the collateral from these services').conflicts('collateral'),
    )
    .addOption(update)
    .addOption(evaluationNumber)
    .option('--now <time>', 'judge as of this ISO 8601 time instead of now')
    .option('--policy <file>', 'a policy, JSON; default: up to date, no debug, SEPT_VE_DISABLE')
    .option('--chain-only', 'verify chain and signatures only: no revocation, no TCB, no policy')
    .option('--insecure-trust-root <pem>', 'DANGER: trust this root instead of Intel’s')
    .option('--json', 'print JSON')
    .option('--jsonl', 'answer JSON lines from standard input')
    .option('--insecure-trust-root-from-input', 'DANGER: let each line of --jsonl bring its own root')
    .action(verify);
  return quote;
}

const encodingOption = (): Option =>
  new Option('--encoding <kind>', 'how the quote is written').choices(quoteEncodings).default('binary');

interface VerifyFlags extends CollateralFlags {
  readonly encoding: QuoteEncoding;
  readonly now?: string;
  readonly policy?: string;
  readonly chainOnly?: boolean;
  readonly insecureTrustRoot?: string;
  readonly json?: boolean;
  readonly jsonl?: boolean;
  readonly insecureTrustRootFromInput?: boolean;
}

function inspect(file: string, flags: { readonly json?: boolean; readonly encoding: QuoteEncoding }): void {
  const quote = readQuote(file, flags.encoding);
  process.stdout.write(
    flags.json ? `${JSON.stringify(describeQuote(quote), null, 2)}\n` : formatQuote(quote),
  );
}

async function verify(file: string | undefined, flags: VerifyFlags): Promise<void> {
  const verifier = new QuoteVerifier({ trustRoot: readTrustRoot(flags.insecureTrustRoot) });
  if (!verifier.trustRoot.isIntel) {
    process.stderr.write(
      'latchkey: INSECURE: trusting an injected root; whoever holds its key can forge quotes\n',
    );
  }
  if (flags.jsonl) return verifyLines(file, verifier, flags);
  if (file === undefined) throw misuse('a quote file, or --jsonl');
  return verifyFile(file, verifier, flags);
}

async function verifyLines(
  file: string | undefined,
  verifier: QuoteVerifier,
  flags: VerifyFlags,
): Promise<void> {
  if (file !== undefined || flags.chainOnly || flags.pccs)
    throw misuse('--jsonl without a file, --chain-only or --pccs');
  if (flags.insecureTrustRootFromInput) {
    process.stderr.write('latchkey: INSECURE: every line may bring its own trust root\n');
  }
  const collateral = flags.collateral === undefined ? undefined : readCollateral(flags.collateral);
  const fixedMs = flags.now === undefined ? undefined : readNow(flags.now);
  await runQuoteStream(process.stdin, process.stdout, {
    verifier,
    policy: readPolicy(flags.policy),
    collateral,
    nowMs: () => fixedMs ?? Date.now(),
    acceptsRootFromInput: flags.insecureTrustRootFromInput === true,
  });
}

async function verifyFile(file: string, verifier: QuoteVerifier, flags: VerifyFlags): Promise<void> {
  const asJson = flags.json === true;
  try {
    const { outcome, report } = await judgeFile(file, verifier, flags);
    print(outcome, asJson, asJson ? undefined : report());
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error;
    print({ ok: false, error }, asJson, undefined);
  }
}

async function judgeFile(file: string, verifier: QuoteVerifier, flags: VerifyFlags) {
  const nowMs = readNow(flags.now);
  const policy = readPolicy(flags.policy);
  const quote = readQuote(file, flags.encoding);
  if (flags.chainOnly) {
    const outcome = decideChainOnly(verifier, quote, nowMs);
    return { outcome, report: () => formatChainReport(outcome, verifier, quote, nowMs) };
  }
  const options = { collateral: await collateralFor(quote, flags, verifier, nowMs), nowMs };
  const outcome = decide(verifier, quote, options, policy);
  return { outcome, report: () => formatReport(outcome, { verifier, quote, options, policy }) };
}

function print(outcome: Outcome, asJson: boolean, report: string | undefined): void {
  process.stdout.write(
    asJson ? `${JSON.stringify(answerOf(outcome))}\n` : (report ?? formatVerdict(outcome)),
  );
  const isUndecided = !outcome.ok && outcome.error.family === 'problem';
  process.exitCode = outcome.ok ? exitCodes.ok : isUndecided ? exitCodes.failed : exitCodes.refused;
}

const misuse = (expected: string): ProblemError =>
  new ProblemError('INPUT_UNREADABLE', `quote verify needs ${expected}`, { expected });
