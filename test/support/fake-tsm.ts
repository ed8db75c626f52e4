import type { TsmFileSystem } from '../../src/quote-source/tsm-file-system.ts';

/** How the simulated kernel behaves; every field is one way to go wrong. */
export interface FakeTsmBehaviour {
  readonly quote: (reportData: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  readonly provider?: string;
  /** Folders that exist; all of them by default. */
  readonly present?: (path: string) => boolean;
  /** Throws errno `code` at `step` (mkdir, rmdir, or an attribute's name). */
  readonly fail?: { readonly step: string; readonly code: string };
  /** Called after inblob was written, to meddle. */
  readonly afterWrite?: (entry: FakeEntry) => void;
}

/** One report entry, as configfs-tsm keeps it. */
export interface FakeEntry {
  generation: number;
  inblob: Uint8Array | undefined;
}

const errno = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

/** A directory that behaves like /sys/kernel/config/tsm/report. */
export class FakeTsm implements TsmFileSystem {
  readonly entries = new Map<string, FakeEntry>();
  readonly created: string[] = [];
  readonly #behaviour: FakeTsmBehaviour;

  constructor(behaviour: FakeTsmBehaviour) {
    this.#behaviour = behaviour;
  }

  async exists(path: string): Promise<boolean> {
    return this.#behaviour.present?.(path) ?? true;
  }

  async mkdir(path: string): Promise<void> {
    this.#maybeFail('mkdir');
    if (this.entries.has(path)) throw errno('EEXIST');
    this.entries.set(path, { generation: 0, inblob: undefined });
    this.created.push(path);
  }

  async rmdir(path: string): Promise<void> {
    this.#maybeFail('rmdir');
    if (!this.entries.delete(path)) throw errno('ENOENT');
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    const { entry, attribute } = this.#locate(path);
    this.#maybeFail(attribute);
    if (attribute !== 'inblob') throw errno('EACCES');
    if (bytes.length > 64) throw errno('EINVAL');
    entry.inblob = bytes;
    entry.generation += 1;
    this.#behaviour.afterWrite?.(entry);
  }

  async read(path: string): Promise<Uint8Array> {
    const { entry, attribute } = this.#locate(path);
    this.#maybeFail(attribute);
    const text = (value: string) => new TextEncoder().encode(`${value}\n`);
    if (attribute === 'provider') return text(this.#behaviour.provider ?? 'tdx_guest');
    if (attribute === 'generation') return text(`${entry.generation}`);
    if (attribute !== 'outblob') throw errno('ENOENT');
    if (entry.inblob === undefined) throw errno('EINVAL');
    return this.#behaviour.quote(entry.inblob);
  }

  #locate(path: string): { readonly entry: FakeEntry; readonly attribute: string } {
    const slash = path.lastIndexOf('/');
    const entry = this.entries.get(path.slice(0, slash));
    if (entry === undefined) throw errno('ENOENT');
    return { entry, attribute: path.slice(slash + 1) };
  }

  #maybeFail(step: string): void {
    if (this.#behaviour.fail?.step === step) throw errno(this.#behaviour.fail.code);
  }
}
