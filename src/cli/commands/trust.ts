import { Command, InvalidArgumentError } from 'commander';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { addConfigOption, readConfig } from '../shared/config-options.ts';
import type { PreflightOptions } from '../trust/preflight.ts';

interface CheckpointOptions {
  readonly endpoint: string;
  readonly block?: number;
  readonly json?: boolean;
}

function chainEndpoint(url: string): string {
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url))
    throw new InvalidArgumentError('a ws:// or wss:// URL is expected.');
  return url;
}

function blockNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('a block number is expected.');
  return Number(text);
}

/** `latchkey trust`: the measured part of the configuration. */
export function trustCommand(): Command {
  const command = new Command('trust').description('the part of the configuration on which security depends');
  addConfigOption(command.command('hash'))
    .description('print the SHA-384 that MRCONFIGID of the machine must be')
    .option('--canonical', 'print the canonical JSON (RFC 8785) that is hashed instead')
    .action(
      async ({ config: path, canonical }: { readonly config: string; readonly canonical?: boolean }) => {
        const { trust } = await readConfig(path);
        const { canonicalTrustSection, trustHash } = await import('../../trust/trust-hash.ts');
        console.log(canonical === true ? canonicalTrustSection(trust) : toPrefixedHex(trustHash(trust)));
      },
    );
  command
    .command('checkpoint')
    .description(
      'print genesisHash and checkpoint for trust.chain as a node of the chain gives it; ask one that you trust',
    )
    .requiredOption('--endpoint <url>', 'ws:// or wss:// URL of the node', chainEndpoint)
    .option('--block <number>', 'a finalized block, to compare the answers of several nodes', blockNumber)
    .option('--json', 'print JSON instead of YAML')
    .action(async ({ endpoint, block, json }: CheckpointOptions) => {
      const deadlines = { connectDeadlineMs: 10_000, requestDeadlineMs: 10_000 };
      const { readCheckpoint } = await import('../../chain/read-checkpoint.ts');
      const { stringify } = await import('yaml');
      const read = await readCheckpoint({ endpoint, ...deadlines }, block);
      console.log(json === true ? JSON.stringify(read.checkpoint) : stringify(read).trimEnd());
    });
  command
    .command('diff <former> <new>')
    .description('say in words how the trust sections of two configuration files differ')
    .action(async (former: string, next: string) => {
      const [{ trust: before }, { trust: after }] = [await readConfig(former), await readConfig(next)];
      const { diffSections } = await import('../../trust/section-diff.ts');
      const { changes, acceptance } = diffSections(before, after);
      for (const line of changes.length === 0 ? ['no difference'] : changes) console.log(line);
      for (const line of acceptance) console.log(line);
    });
  addPreflight(command);
  return command;
}

/** `latchkey trust preflight`: what the peers would say to a machine under a new configuration. */
function addPreflight(parent: Command): void {
  addConfigOption(parent.command('preflight'), 'the new configuration')
    .description(
      'ask all key servers whether they would give keys under this trust section: exit 0 all would, 1 some refuse, 2 some did not answer',
    )
    .option('--measurement <id>', 'id of the new image, 0x hex; default: the image stays the same')
    .option('--json', 'print JSON')
    .action(async (options: PreflightOptions) => (await import('../trust/preflight.ts')).preflight(options));
}
