import { utf8 } from '../../bytes/concat.ts';
import { toPrefixedHex } from '../../bytes/hex.ts';
import { RefusalError } from '../../errors/latchkey-error.ts';
import {
  type Draft,
  draftHandover,
  draftRules,
  draftSchema,
  type FormerManifest,
} from '../../fleet/draft.ts';
import { lossesOf } from '../../fleet/losses.ts';
import { readContent } from '../../fleet/manifest.ts';
import { type ManifestFile, writeManifestFile } from '../../fleet/manifest-file.ts';
import { addSignature } from '../../fleet/sign-header.ts';
import { decodeSignedHeader, encodeSignedHeader, type SignedHeader } from '../../fleet/signed-header.ts';
import { verifyHeader } from '../../fleet/verify-header.ts';
import { vouchingOf } from '../../fleet/vouched.ts';
import { successorSchema } from '../../trust/fleet-authority.ts';
import type { ConfigOptions } from '../shared/config-options.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { withPassword } from '../shared/password-file.ts';
import { readTextFile } from '../shared/user-file.ts';
import { MAX_KEY_FILE_BYTES, openKeyFile } from './key-file.ts';
import { readManifestAt } from './read-manifest.ts';
import { requireNoLockedStore, type StoreOptions } from './require-stores.ts';
import { type FleetPlace, readFleetPlace, readYaml } from './session.ts';
import { printManifest } from './show.ts';

/** Options of the command. */
export interface DraftOptions extends ConfigOptions, StoreOptions {
  readonly content?: string;
  readonly successor?: string;
  readonly from?: string;
  readonly out: string;
  readonly acceptLosses?: true;
}

/** `latchkey fleet draft`: the next manifest, without signatures. */
export async function draft(options: DraftOptions): Promise<void> {
  const place = await readFleetPlace(options.config);
  const former = options.from === undefined ? undefined : await readFormer(options.from, place);
  const made = await makeDraft(options, { ...place, former, issuedAtMs: Date.now() });
  const content = readContent(made.header, made.parts);
  requireNoLoss(lossesOf(former?.content, content), options);
  const { servers, authority } = place;
  const rules = { servers, delayMs: authority.delayMs, atMs: made.header.issuedAtMs };
  await requireNoLockedStore(content, vouchingOf(former?.content, content, rules), options);
  const unsigned: SignedHeader = { header: made.header, signatures: [] };
  await writeManifest(options.out, unsigned, made.parts);
  printManifest(unsigned, content);
}

async function makeDraft(
  { content, successor }: DraftOptions,
  place: Parameters<typeof draftRules>[1],
): Promise<Draft> {
  if (successor !== undefined)
    return draftHandover(await readYaml(successor, 'successor', successorSchema), place);
  return draftRules(
    content === undefined ? draftSchema.parse({}) : await readYaml(content, 'content', draftSchema),
    place,
  );
}

/** A manifest of the own authority is verified. One of another authority only gives its hash and its dates. */
async function readFormer(path: string, { network, authority }: FleetPlace): Promise<FormerManifest> {
  const { signed, ...parts } = await readManifestAt(path);
  const { header } = decodeSignedHeader(signed);
  if (toPrefixedHex(header.authorityId) === authority.id)
    verifyHeader(signed, { network, signers: authority, minimumSerial: 1 });
  else process.stderr.write(`warning: ${path} is by another authority, so its signatures are not verified\n`);
  return { header, content: readContent(header, parts) };
}

function requireNoLoss(losses: readonly string[], { acceptLosses, from }: DraftOptions): void {
  if (losses.length === 0) return;
  for (const loss of losses) process.stderr.write(`loses access: ${loss}\n`);
  if (acceptLosses === true) return;
  throw new RefusalError(
    'FLEET_DRAFT_REFUSED',
    `this manifest takes away ${losses.length} permissions at once`,
    {
      field: from ?? 'content',
      hint: 'a node that nobody accepts stays locked at its next start; repeat with --accept-losses when this is meant',
    },
  );
}

/** Options of the command. */
export interface SignOptions {
  readonly key: string;
  readonly passwordFile: string;
  readonly out: string;
}

/** `latchkey fleet sign`: one more signature. */
export async function sign(path: string, { key, passwordFile, out }: SignOptions): Promise<void> {
  const { signed, ...parts } = await readManifestAt(path);
  const unfinished = decodeSignedHeader(signed);
  const content = readContent(unfinished.header, parts);
  const keyText = await readTextFile(key, 'key', MAX_KEY_FILE_BYTES);
  const signer = await withPassword(passwordFile, (password) => openKeyFile(keyText, password));
  printManifest(unfinished, content);
  const next = addSignature(unfinished, signer);
  await writeManifest(out, next, parts);
  console.log(`signed by ${next.signatures.length} keys`);
}

const writeManifest = (
  path: string,
  header: SignedHeader,
  parts: Omit<ManifestFile, 'signed'>,
): Promise<void> =>
  writeNewFile(path, 'out', (append) =>
    append(utf8(writeManifestFile({ signed: encodeSignedHeader(header), ...parts }))),
  );
