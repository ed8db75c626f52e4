import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { generationVerifier } from '../../keyslots/generations.ts';
import type { KeyslotFile } from '../../keyslots/keyslot-file.ts';

/**
 * The generations that the store key signed. The rest of the file is the host's word: acted upon, a forged generation
 * would displace a real one.
 */
export function provenPart(file: KeyslotFile, storeKey: SecretBytes): KeyslotFile {
  const [first, second] = file.generations.filter((generation) =>
    generationVerifier(file, generation)(storeKey.reveal()),
  );
  if (first === undefined) throw new TypeError('the generation that opened the store is in the file');
  return { ...file, generations: second === undefined ? [first] : [first, second] };
}
