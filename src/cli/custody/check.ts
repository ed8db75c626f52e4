import { toHex } from '../../bytes/hex.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { openOwnPart } from '../../custody/answer.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import { platformOfPart } from '../../keyslots/custody-parts.ts';
import { decodeKeyslotFile, MAX_KEYSLOT_FILE_BYTES } from '../../keyslots/keyslot-codec.ts';
import { readUserFile } from '../shared/user-file.ts';
import { type KeyOptions, withCustodianKey } from './key-file.ts';

/** `latchkey custody check`: opens the own part of every generation in a copy of a keyslot file. */
export async function checkCopy(options: KeyOptions & { readonly keyslots: string }): Promise<void> {
  const bytes = await readUserFile(options.keyslots, 'keyslots', MAX_KEYSLOT_FILE_BYTES);
  const file = decodeKeyslotFile(bytes);
  await withCustodianKey(options, async ({ seed }) => {
    const checked = file.generations.flatMap(({ generation, custody }) => {
      if (custody === undefined || custody.parts.length === 0) return [];
      const { threshold, set, parts } = custody;
      const { account, storeId } = file;
      const own = openOwnPart({ account, storeId, generation, threshold, set, parts }, seed);
      const made = toHex(platformOfPart(own.part));
      own.part.fill(0);
      return [
        `generation ${generation}: the part of ${own.custodian} opens; ${threshold} of ${parts.length} are needed; made on platform ${made}`,
      ];
    });
    if (checked.length === 0) {
      throw new RefusalError('CUSTODY_ABSENT', 'this keyslot file has no parts of custodians', {
        hint: 'name them in trust.custody of every node; a running node then makes parts with its next generation of slots',
      });
    }
    process.stdout.write([`account ${encodeSs58(file.account)}`, ...checked, ''].join('\n'));
  });
}
