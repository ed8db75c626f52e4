import type { Config } from '../../config/schema.ts';
import { LatchkeyNode } from '../../node/latchkey-node.ts';
import { buildParts } from '../../node/parts.ts';
import { jsonLog } from '../../observe/log.ts';
import { type OpeningOptions, type RootOptions, readTrustRoot } from './config-options.ts';

/**
 * Builds the node of a command that asks the key servers once. Its log goes to standard error: standard output is for
 * the answer.
 * @throws ProblemError CONFIG_INVALID, TRUST_ROOT_INVALID.
 */
export async function oneShotNode(
  config: Config,
  options: RootOptions & Partial<OpeningOptions>,
): Promise<LatchkeyNode> {
  const trustRoot = await readTrustRoot(options);
  const log = jsonLog(config.log.level, process.stderr);
  const parts = buildParts(config, { log, ...(trustRoot === undefined ? {} : { trustRoot }) });
  return new LatchkeyNode(config, parts, options);
}
