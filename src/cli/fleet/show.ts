import { describeManifest } from '../../fleet/describe.ts';
import { type ManifestContent, readContent } from '../../fleet/manifest.ts';
import { decodeSignedHeader, type SignedHeader } from '../../fleet/signed-header.ts';
import { readManifestAt } from './read-manifest.ts';

/** `latchkey fleet show`: a manifest in words. */
export async function show(path: string): Promise<void> {
  const { signed, ...parts } = await readManifestAt(path);
  const header = decodeSignedHeader(signed);
  printManifest(header, readContent(header.header, parts));
  console.log(`carries ${header.signatures.length} signatures, not verified`);
}

/** Prints a manifest in words. */
export function printManifest(header: SignedHeader, content: ManifestContent): void {
  for (const line of describeManifest(header, content)) console.log(line);
}
