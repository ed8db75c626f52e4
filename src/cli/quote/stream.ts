import { once } from 'node:events';
import { tryFromBase64 } from '../../bytes/base64.ts';
import { tryFromHex } from '../../bytes/hex.ts';
import { Memo } from '../../bytes/memo.ts';
import { sha256Hex } from '../../crypto/sha2.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../../errors/latchkey-error.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../../tdx/collateral.ts';
import { parsePolicy, type TdPolicy } from '../../tdx/policy.ts';
import { parseQuote } from '../../tdx/quote.ts';
import { insecureTrustRoot } from '../../tdx/trust-root.ts';
import { QuoteVerifier } from '../../tdx/verify-quote.ts';
import { boundedLines, type Line } from '../shared/bounded-lines.ts';
import { type Answer, answerOf, decide, failureAnswer } from './answer.ts';
import { tryParseTime } from './inputs.ts';

/** Defaults for fields that a line leaves out. */
export interface StreamDefaults {
  readonly verifier: QuoteVerifier;
  readonly policy: TdPolicy;
  readonly collateral: CollateralDocuments | undefined;
  readonly nowMs: () => number;
  /** Whether a line may bring its own trust root. */
  readonly acceptsRootFromInput: boolean;
}

/** A quote and a set with the largest CRL accepted fit into it. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;
const VERIFIERS_BY_ROOT = 16;

/** Answers lines one by one; no content of a line can cause an exception. */
export class QuoteStream {
  readonly #defaults: StreamDefaults;
  readonly #verifiers = new Memo<QuoteVerifier>(VERIFIERS_BY_ROOT);

  constructor(defaults: StreamDefaults) {
    this.#defaults = defaults;
  }

  /** The answer to one line. */
  answer(line: Line): Answer {
    let id: string | number | null = null;
    try {
      const fields = parseLine(line);
      id = readId(fields['id']);
      return { id, ...this.#verify(fields) };
    } catch (error) {
      if (error instanceof LatchkeyError) return { id, ...failureAnswer(error) };
      const cause = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
      return { id, ...failureAnswer(new ProblemError('INTERNAL', `unexpected failure: ${cause}`)) };
    }
  }

  #verify(fields: Readonly<Record<string, unknown>>): Answer {
    const verifier = this.#verifierOf(fields['root']);
    const policy = fields['policy'] === undefined ? this.#defaults.policy : parsePolicy(fields['policy']);
    const nowMs = fields['now'] === undefined ? this.#defaults.nowMs() : readTime(fields['now']);
    const collateral =
      fields['collateral'] === undefined
        ? this.#defaults.collateral
        : parseCollateralDocuments(fields['collateral']);
    if (collateral === undefined) return refuse('collateral', 'a collateral set', undefined);
    const quote = parseQuote(readQuoteText(fields['quote']), { trailing: 'allow-zero-padding' });
    return answerOf(decide(verifier, quote, { collateral, nowMs }, policy));
  }

  #verifierOf(root: unknown): QuoteVerifier {
    if (root === undefined) return this.#defaults.verifier;
    if (!this.#defaults.acceptsRootFromInput) {
      return refuse('root', 'absent (or run with --insecure-trust-root-from-input)', root);
    }
    if (typeof root !== 'string') return refuse('root', 'PEM text', root);
    return this.#verifiers.get(
      sha256Hex(Buffer.from(root)),
      () =>
        new QuoteVerifier({
          trustRoot: insecureTrustRoot(root),
          limits: { collateralSets: 16, pckChains: 256 },
        }),
    );
  }
}

function refuse(field: string, expected: string, value: unknown): never {
  const observed = value === undefined ? 'nothing' : typeof value;
  throw new EvidenceError('LINE_INVALID', `${field} must be ${expected}, got ${observed}`, {
    field,
    expected,
    observed,
  });
}

function parseLine(line: Line): Readonly<Record<string, unknown>> {
  if (line.tooLong) {
    const expected = `at most ${MAX_LINE_BYTES} bytes`;
    throw new EvidenceError('LINE_TOO_LONG', `the line is longer than ${MAX_LINE_BYTES} bytes`, {
      field: 'line',
      expected,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line.bytes).toString('utf8'));
  } catch (cause) {
    throw new EvidenceError('LINE_INVALID', 'the line is not JSON', {
      field: 'line',
      expected: 'JSON',
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('line', 'an object', value);
  // Objects only are left; own fields are read by name and checked where they are used.
  return Object.assign(Object.create(null), value) as Readonly<Record<string, unknown>>;
}

/** Goes back as it came, so not just any JSON: printing a deep one would overflow the stack. */
function readId(value: unknown): string | number | null {
  if (typeof value === 'string' || typeof value === 'number') return value;
  return value === undefined || value === null ? null : refuse('id', 'text or a number', value);
}

function readTime(value: unknown): number {
  return (
    (typeof value === 'string' ? tryParseTime(value) : undefined) ?? refuse('now', 'an ISO 8601 time', value)
  );
}

function readQuoteText(value: unknown): Uint8Array {
  if (typeof value !== 'string') return refuse('quote', 'base64 or hex', value);
  return tryFromHex(value) ?? tryFromBase64(value) ?? refuse('quote', 'base64 or hex', value);
}

/**
 * Answers every line of `input` on `output`, in order, at the pace at which the reader takes the answers.
 * @throws ProblemError INPUT_UNREADABLE when the reader went away before the last answer.
 */
export async function runQuoteStream(
  input: AsyncIterable<Uint8Array>,
  output: NodeJS.WritableStream,
  defaults: StreamDefaults,
): Promise<void> {
  const stream = new QuoteStream(defaults);
  let failure: unknown;
  const fail = (error: unknown): void => {
    failure ??= error;
  };
  output.on('error', fail);
  for await (const line of boundedLines(input, MAX_LINE_BYTES)) {
    if (!output.write(`${JSON.stringify(stream.answer(line))}\n`)) await once(output, 'drain').catch(fail);
    if (failure === undefined) continue;
    const observed = failure instanceof Error ? failure.message : String(failure);
    throw new ProblemError('INPUT_UNREADABLE', `nobody reads the answers any more: ${observed}`, {
      field: 'standard output',
      observed,
      cause: failure,
    });
  }
}
