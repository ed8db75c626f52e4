import { type Document, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ProblemError } from '../errors/latchkey-error.ts';
import { parseTrustSection } from '../trust/trust-section.ts';
import { applyEnvironment } from './environment.ts';
import { type Config, configSchema } from './schema.ts';

/**
 * Reads a configuration: YAML text, then overrides from the environment, then validation.
 * @param text the file's content.
 * @param environment variables that start with LATCHKEY_ override single values; see docs/configuration.md.
 * @throws ProblemError CONFIG_INVALID naming the place, TRUST_SECTION_INVALID, or of the TD policy.
 */
export function loadConfig(text: string, environment: Readonly<Record<string, string | undefined>>): Config {
  const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
  // An unknown tag is only a warning to the parser, which then guesses.
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault !== undefined) throw invalid('file', `not valid YAML: ${fault.message}`);
  const parsed = configSchema.safeParse(applyEnvironment(plainValue(document), environment));
  if (!parsed.success) throw invalidIssue(parsed.error.issues[0]);
  const config = { ...parsed.data, trust: parseTrustSection(parsed.data.trust) };
  requireConsistent(config);
  return config;
}

/** Aliases are refused: a few lines of them can expand to gigabytes, and no configuration needs them. */
function plainValue(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 }) ?? {};
  } catch (cause) {
    throw invalid('file', `YAML aliases (*name) are not supported: ${String(cause)}`);
  }
}

function invalidIssue(issue: z.core.$ZodIssue | undefined): ProblemError {
  const place = issue?.path.map(String).join('.') ?? '';
  return invalid(place === '' ? 'file' : place, explain(issue));
}

function explain(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'invalid';
  if (issue.code === 'unrecognized_keys') return `unknown key ${issue.keys.join(', ')}`;
  // YAML reads 0x… without quotes as a number.
  const isUnquoted = issue.code === 'invalid_type' && issue.expected === 'string';
  return isUnquoted ? `${issue.message}; put hex in quotes` : issue.message;
}

/** The placeholder that `latchkey config init` prints for a value that only the operator knows. */
const ZERO_HASH = `0x${'00'.repeat(32)}`;

function requireConsistent({ chain, healing, decryptions, trust }: Config): void {
  if (trust.chain.genesisHash === ZERO_HASH) {
    throw invalid(
      'trust.chain.genesisHash',
      'is still the placeholder: put the hash of block 0 of the chain here',
    );
  }
  if (chain.agreement > chain.endpoints.length) {
    throw invalid(
      'chain.agreement',
      `${chain.agreement} endpoints must agree, but only ${chain.endpoints.length} are given`,
    );
  }
  if (healing.retryMinMs > healing.retryMaxMs) {
    throw invalid('healing.retryMinMs', `must be at most retryMaxMs (${healing.retryMaxMs})`);
  }
  const prune = decryptions?.prune;
  if (prune !== undefined && prune.maxAgeMs === undefined && prune.maxCount === undefined) {
    throw invalid('decryptions.prune', 'needs maxAgeMs or maxCount, or it would prune nothing');
  }
}

function invalid(place: string, message: string): ProblemError {
  return new ProblemError('CONFIG_INVALID', `${place}: ${message}`, {
    field: place,
    hint: 'docs/configuration.md describes every key; `latchkey config check` reads a file without starting',
  });
}
