import { Command } from 'commander';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { canonicalTrustSection, trustHash } from '../../trust/trust-hash.ts';
import { configFile, readConfig } from '../node-options.ts';

/** `latchkey trust`: the measured part of the configuration. */
export function trustCommand(): Command {
  const command = new Command('trust').description('the part of the configuration on which security depends');
  command
    .command('hash')
    .description('print the SHA-384 that MRCONFIGID of the machine must be')
    .requiredOption('--config <file>', 'configuration file', configFile)
    .option('--canonical', 'print the canonical JSON (RFC 8785) that is hashed instead')
    .action(
      async ({ config: path, canonical }: { readonly config: string; readonly canonical?: boolean }) => {
        const { trust } = await readConfig(path);
        console.log(canonical === true ? canonicalTrustSection(trust) : toPrefixedHex(trustHash(trust)));
      },
    );
  return command;
}
