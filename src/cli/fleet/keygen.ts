import { join } from 'node:path';
import { stringify } from 'yaml';
import { utf8 } from '../../bytes/concat.ts';
import { toPrefixedHex, tryFromHex } from '../../bytes/hex.ts';
import type { SecretBytes } from '../../bytes/secret-bytes.ts';
import { systemRandom } from '../../crypto/random.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { draftHandover } from '../../fleet/draft.ts';
import { writeManifestFile } from '../../fleet/manifest-file.ts';
import { addSignature } from '../../fleet/sign-header.ts';
import { encodeSignedHeader, type SignedHeader } from '../../fleet/signed-header.ts';
import { type FleetAuthority, type FleetSigners, MAX_AUTHORITY_KEYS } from '../../trust/fleet-authority.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { withPassword } from '../shared/password-file.ts';
import { createKeyFile, type SealedKeyFile } from './key-file.ts';

/** Options of the command. */
export interface KeygenOptions {
  readonly folder: string;
  readonly keys: string;
  readonly threshold: string;
  readonly genesis: string;
  readonly passwordFile: string;
}

/** An authority with all its keys. */
interface MadeAuthority {
  readonly signers: FleetSigners;
  readonly keys: readonly SealedKeyFile[];
}

/** `latchkey fleet keygen`: the keys of an authority, those of its successor, and the signed handover between them. */
export async function keygen(options: KeygenOptions): Promise<void> {
  const count = wholeNumber(options.keys, 'keys', MAX_AUTHORITY_KEYS);
  const threshold = wholeNumber(options.threshold, 'threshold', count);
  const network = genesisOf(options.genesis);
  await withPassword(options.passwordFile, async (password) => {
    const authority = await makeAuthority(count, threshold, password);
    const successor = await makeAuthority(count, threshold, password);
    await writeKeys(options.folder, 'key', authority);
    await writeKeys(options.folder, 'successor-key', successor);
    await write(join(options.folder, 'handover.json'), handoverFile(authority, successor, network));
    print(options.folder, authority);
  });
}

async function makeAuthority(
  count: number,
  threshold: number,
  password: SecretBytes,
): Promise<MadeAuthority> {
  const keys: SealedKeyFile[] = [];
  // One after the other: scrypt takes 32 MiB for each.
  for (let made = 0; made < count; made++) keys.push(await createKeyFile(password));
  const id = toPrefixedHex(systemRandom(16));
  return { signers: { id, threshold, keys: keys.map(({ publicKey }) => publicKey).sort() }, keys };
}

async function writeKeys(folder: string, name: string, { keys }: MadeAuthority): Promise<void> {
  for (const [index, { text }] of keys.entries())
    await write(join(folder, `${name}-${index + 1}.json`), text);
}

const write = (path: string, text: string): Promise<void> =>
  writeNewFile(path, 'folder', (append) => append(utf8(text)));

/** Signed by all keys now, while they are together. */
function handoverFile(authority: MadeAuthority, successor: MadeAuthority, network: Uint8Array): string {
  const { header, parts } = draftHandover(successor.signers, {
    network,
    authority: { id: authority.signers.id, minimumSerial: 1 },
    former: undefined,
    issuedAtMs: Date.now(),
  });
  const signed = authority.keys.reduce<SignedHeader>(
    (unfinished, { signer }) => addSignature(unfinished, signer),
    {
      header,
      signatures: [],
    },
  );
  return writeManifestFile({ signed: encodeSignedHeader(signed), ...parts });
}

function print(folder: string, { signers }: MadeAuthority): void {
  const section: Partial<FleetAuthority> = signers;
  console.log('# For the trust section; it changes the trust hash.');
  console.log(stringify({ authority: section }).trimEnd());
  console.log(
    `# Give each key of ${folder} to another person. Lock away handover.json and the successor keys, apart`,
  );
  console.log(
    '# from the keys: handover.json lets the successor sign when too many keys are lost. It cannot be undone.',
  );
}

function wholeNumber(text: string, option: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new ProblemError(
    'CONFIG_INVALID',
    `--${option} must be a whole number from 1 to ${most}, got ${text}`,
    {
      field: option,
    },
  );
}

function genesisOf(text: string): Uint8Array {
  const bytes = tryFromHex(text);
  if (bytes?.length === 32) return bytes;
  throw new ProblemError('CONFIG_INVALID', '--genesis must be 0x and 64 hex digits', { field: 'genesis' });
}
