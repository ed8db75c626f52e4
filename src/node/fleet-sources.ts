import type { RandomSource } from '../crypto/random.ts';
import type { FileSystem } from '../disk/file-system.ts';
import { MAX_MANIFEST_FILE_BYTES } from '../fleet/manifest-file.ts';
import type { Log } from '../observe/log.ts';
import { boundedFetch, type Fetch } from '../outbound/bounded-fetch.ts';
import { readWholeFile } from '../store/files/files.ts';

/** How many registered servers are asked at a time, in addition to the configured sources. */
const MOST_SERVERS = 4;
const SOURCE_DEADLINE_MS = 10_000;

/** The parts of a node that its sources of manifests use. */
export interface FleetSourceParts {
  /** URLs that are asked in addition to registered servers. */
  readonly sources: readonly string[];
  /** Absolute paths of files that are read in addition. */
  readonly files?: readonly string[];
  readonly fileSystem?: FileSystem;
  readonly chain: { endpoints(): Iterable<string> };
  readonly random: RandomSource;
  readonly log: Log;
  readonly fetch?: Fetch;
}

/** What one source showed. */
export interface ShownManifests {
  /** URL or path, for the log. */
  readonly source: string;
  readonly text: string;
}

/** Where a node gets manifests from: files, URLs, and registered servers. Signatures decide, not sources. */
export class FleetSources {
  readonly #parts: FleetSourceParts;
  /** Files that could not be read the last time, so that it is logged once. */
  readonly #unread = new Set<string>();

  constructor(parts: FleetSourceParts) {
    this.#parts = parts;
  }

  /**
   * Asks all of them at the same time. A source that fails shows nothing.
   * @param known name of all manifests here, `0x` hex: a server that has no others answers with nothing.
   * @param first endpoint of a server that is asked in any case.
   */
  async ask(
    known: string | undefined,
    signal: AbortSignal,
    first?: string,
  ): Promise<readonly ShownManifests[]> {
    const { sources, files = [] } = this.#parts;
    const servers = [...new Set([...(first === undefined ? [] : [first]), ...this.#servers()])];
    const urls = [...sources, ...servers.map((endpoint) => `http://${endpoint}/fleet`)];
    const shown = await Promise.all([
      ...files.map((path) => this.#readFile(path)),
      ...urls.map((url) => this.#fetch(url, known, signal)),
    ]);
    return shown.filter((answer) => answer !== undefined);
  }

  #servers(): readonly string[] {
    const { chain, random } = this.#parts;
    const endpoints = [...chain.endpoints()];
    const first = endpoints.length === 0 ? 0 : (random(2)[0] ?? 0) % endpoints.length;
    return [...endpoints.slice(first), ...endpoints.slice(0, first)].slice(0, MOST_SERVERS);
  }

  async #fetch(
    url: string,
    known: string | undefined,
    signal: AbortSignal,
  ): Promise<ShownManifests | undefined> {
    const answer = await boundedFetch(this.#parts.fetch ?? fetch, {
      url: asking(url, known),
      method: 'GET',
      timeoutMs: SOURCE_DEADLINE_MS,
      maxBytes: MAX_MANIFEST_FILE_BYTES,
      signal,
    });
    if (!answer.ok || answer.status !== 200) return undefined;
    return { source: url, text: new TextDecoder().decode(answer.body) };
  }

  /** It is read each time: a manifest that was too early for the chain may be taken later. */
  async #readFile(path: string): Promise<ShownManifests | undefined> {
    const { fileSystem, log } = this.#parts;
    if (fileSystem === undefined) return undefined;
    try {
      const bytes = await readWholeFile(fileSystem, path, MAX_MANIFEST_FILE_BYTES);
      this.#unread.delete(path);
      return { source: path, text: new TextDecoder().decode(bytes) };
    } catch (error) {
      if (!this.#unread.has(path)) log('warn', 'fleet.file-not-read', { path, error: String(error) });
      this.#unread.add(path);
      return undefined;
    }
  }
}

/** The URL that asks a source for what a node does not have. Sources may have a query of their own. */
function asking(url: string, known: string | undefined): string {
  // An address on the chain may be any text; asking it fails.
  if (known === undefined || !URL.canParse(url)) return url;
  const asked = new URL(url);
  asked.searchParams.set('known', known);
  return asked.href;
}
