import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePrefixedHex, toPrefixedHex } from '../src/bytes/hex.ts';
import { Ed25519Signer } from '../src/crypto/ed25519.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { draftRules, draftSchema, type FormerManifest } from '../src/fleet/draft.ts';
import { readContent } from '../src/fleet/manifest.ts';
import { writeManifestFile } from '../src/fleet/manifest-file.ts';
import { addSignature } from '../src/fleet/sign-header.ts';
import { encodeSignedHeader, type SignedHeader } from '../src/fleet/signed-header.ts';
import type { DevelopmentNode } from './development-node.ts';

const cli = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
/** How long a permission waits; a real fleet takes a day. */
const DELAY_MS = 1_000;

/** The result of a command. */
export interface Finished {
  readonly code: number;
  readonly text: string;
}

/** Runs `latchkey`. */
export const latchkey = (...args: readonly string[]): Promise<Finished> =>
  new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : 2;
      resolve({ code, text: `${stdout}${stderr}`.trim() });
    });
  });

/** The authority of a development network, with all its keys. */
export class DevelopmentFleet {
  readonly #signers = [0, 1, 2].map(() => new Ed25519Signer(systemRandom(32)));
  readonly #network: Uint8Array;
  readonly #folder: string;
  #former: FormerManifest | undefined;
  readonly authority = {
    id: toPrefixedHex(systemRandom(16)),
    threshold: 2,
    keys: this.#signers.map(({ publicKey }) => toPrefixedHex(publicKey)),
    minimumSerial: 1,
    delayMs: DELAY_MS,
  };

  /** @param genesisHash `0x` hex. */
  constructor(genesisHash: string, folder: string) {
    this.#network = parsePrefixedHex(genesisHash, 32, 'genesisHash');
    this.#folder = folder;
  }

  /**
   * Signs the next manifest, and hands it to a node with `latchkey fleet publish`.
   * @param content as `latchkey fleet draft` reads it.
   * @throws Error with what the command printed, when the node did not take it.
   */
  async publish(node: DevelopmentNode, content: unknown): Promise<string> {
    const { header, parts } = draftRules(draftSchema.parse(content), {
      network: this.#network,
      authority: this.authority,
      former: this.#former,
      issuedAtMs: Date.now(),
    });
    const unsigned: SignedHeader = { header, signatures: [] };
    const signed = this.#signers.slice(0, 2).reduce(addSignature, unsigned);
    this.#former = { header, content: readContent(header, parts) };
    const path = join(this.#folder, `manifest-${header.serial}.json`);
    writeFileSync(path, writeManifestFile({ signed: encodeSignedHeader(signed), ...parts }));
    const { code, text } = await latchkey('fleet', 'publish', '--config', node.configFile, path);
    if (code !== 0) throw new Error(text);
    return text.split('\n').at(-1) ?? '';
  }
}
