import { readConfig, readTrustRoot } from '../src/cli/shared/config-options.ts';
import { reportFailure } from '../src/cli/shared/failure.ts';
import type { SlotKey } from '../src/keyserver/slot-key.ts';
import { LatchkeyNode } from '../src/node/latchkey-node.ts';
import { buildParts } from '../src/node/parts.ts';

/**
 * A node that is genuine in all but one point: told by SIGUSR2, it changes one bit of every server key that it holds.
 * From then on it gives keys that are not those that it gave before. Development only: it shows what a malicious
 * server can do to a client, which is nothing but to be named.
 */
async function main(args: readonly string[]): Promise<void> {
  const optionOf = (option: string): string => args[args.indexOf(option) + 1] ?? '';
  const config = await readConfig(optionOf('--config'));
  const trustRoot = await readTrustRoot({ insecureTrustRoot: optionOf('--insecure-trust-root') });
  const node = new LatchkeyNode(config, buildParts(config, trustRoot === undefined ? {} : { trustRoot }));
  process.on('SIGUSR2', () => {
    // The view of a vault hides its keys; its entries are the keys themselves.
    for (const { key } of (node.keyServer?.vault.keys() ?? []) as Iterable<SlotKey>) {
      const bytes = key.reveal();
      bytes[0] = (bytes[0] ?? 0) ^ 1;
    }
  });
  await node.start();
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await node.close();
}

main(process.argv.slice(2)).catch(reportFailure);
