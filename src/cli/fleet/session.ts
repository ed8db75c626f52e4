import { parse } from 'yaml';
import type { z } from 'zod';
import { tryFromHex } from '../../bytes/hex.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { MAX_MANIFEST_FILE_BYTES, malformedFile } from '../../fleet/manifest-file.ts';
import type { FleetAuthority } from '../../trust/fleet-authority.ts';
import { type PlatformPolicy, platformPolicyOf } from '../../trust/trust-section.ts';
import { readConfig } from '../shared/config-options.ts';
import { readTextFile } from '../shared/user-file.ts';

/** The network and the authority of a configuration. */
export interface FleetPlace {
  /** Hash of block 0, 32 bytes. */
  readonly network: Uint8Array;
  readonly authority: FleetAuthority;
  /** Whether servers need an endorsement. */
  readonly servers: PlatformPolicy['servers'];
}

/** Reads them. @throws ProblemError CONFIG_INVALID, also when the trust section names no authority. */
export async function readFleetPlace(configPath: string): Promise<FleetPlace> {
  const { trust } = await readConfig(configPath);
  const network = tryFromHex(trust.chain.genesisHash);
  if (trust.authority !== undefined && network !== undefined)
    return { network, authority: trust.authority, servers: platformPolicyOf(trust).servers };
  throw new ProblemError('CONFIG_INVALID', `${configPath} has no trust.authority`, {
    field: 'trust.authority',
    hint: '`latchkey fleet keygen` makes the keys of one and prints the section',
  });
}

/** Reads YAML or JSON of a schema. @throws ProblemError STORE_FILE_UNREADABLE, EvidenceError FLEET_FILE_MALFORMED. */
export async function readYaml<Value>(
  path: string,
  option: string,
  schema: z.ZodType<Value>,
): Promise<Value> {
  const text = await readTextFile(path, option, MAX_MANIFEST_FILE_BYTES);
  const parsed = schema.safeParse(parseYaml(text, path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw malformedFile([path, ...(issue?.path ?? [])].join(' '), 'as documented', issue?.message ?? 'not');
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0, uniqueKeys: true });
  } catch {
    throw malformedFile(path, 'YAML without aliases', 'other text');
  }
}
