import type { Command } from 'commander';
import { checkName, checkValue, MAX_NAME_BYTES, MAX_VALUE_BYTES } from '../../store/api/limits.ts';
import type { Namespace } from '../../store/api/store-api.ts';
import type { SealedStore } from '../../store/sealed-store.ts';
import { importRecords } from './import.ts';
import { print, type StoreIo } from './io.ts';
import { formatRecordLine, parseRecordLine, type RecordLine, splitLines } from './lines.ts';
import { startProgress } from './progress.ts';
import { anyNamespace, type NamespaceOptions, namespaceCommand, withReading, withStore } from './session.ts';

/** Base64 of the largest value, two names with every byte escaped, and the field names. */
const MAX_LINE_BYTES = Math.ceil(MAX_VALUE_BYTES / 3) * 4 + 2 * 6 * MAX_NAME_BYTES + 1024;

interface ExportOptions extends NamespaceOptions {
  readonly all?: true;
  readonly prefix?: string;
}

/** Adds `import` and `export`. */
export function addTransferCommands(parent: Command, io: StoreIo): void {
  namespaceCommand(
    parent,
    'import',
    'store JSON lines {"name", "value" (base64)} from stdin; print {"ack": name} for each once it is durable',
  ).action((options: NamespaceOptions) => importLines(io, options));
  namespaceCommand(parent, 'export', 'print all records, with their values in the clear, as JSON lines')
    .option('--all', 'all namespaces, each record with its own; import takes them as they are')
    .option('--prefix <text>', 'only names that start with this')
    .action((options: ExportOptions) => exportLines(io, options));
}

async function importLines(io: StoreIo, options: NamespaceOptions): Promise<void> {
  await withStore(options, async (store) => {
    const progress = startProgress(io, 'imported', 'records');
    const namespaces = new NamespaceCache(store);
    let acknowledged = 0;
    try {
      await importRecords(recordLines(io.stdin), {
        async store({ namespace = options.namespace, name, value, erasable = false }) {
          // What cannot be stored makes no namespace either.
          checkName(name);
          checkValue(value);
          await (await namespaces.get(namespace, erasable)).put(name, value);
        },
        async acknowledge({ name }) {
          acknowledged++;
          progress.update(acknowledged);
          await print(io.stdout, `${JSON.stringify({ ack: name })}\n`);
        },
      });
    } finally {
      progress.end();
    }
    if (io.terminal.stderr) io.stderr.write(`imported ${acknowledged} records\n`);
  });
}

async function exportLines(io: StoreIo, options: ExportOptions): Promise<void> {
  await withReading(options, async (store) => {
    const progress = startProgress(io, 'exported', 'records');
    let exported = 0;
    try {
      for (const name of options.all ? store.namespaces() : [options.namespace]) {
        const namespace = store.namespace(name);
        if (namespace === undefined) continue;
        const fields = {
          ...(options.all ? { namespace: name } : {}),
          ...(store.isErasable(name) ? { erasable: true as const } : {}),
        };
        const range = options.prefix === undefined ? {} : { prefix: options.prefix };
        for await (const [recordName, value] of namespace.entries(range)) {
          const line = { ...fields, name: recordName, value };
          await print(io.stdout, formatRecordLine(line));
          progress.update(++exported);
        }
      }
    } finally {
      progress.end();
    }
  });
}

async function* recordLines(stdin: AsyncIterable<Uint8Array>): AsyncGenerator<RecordLine> {
  let line = 0;
  for await (const bytes of splitLines(stdin, MAX_LINE_BYTES)) {
    const record = parseRecordLine(bytes, ++line);
    if (record !== undefined) yield record;
  }
}

/** Opens each namespace once, also when many records ask at the same time. */
class NamespaceCache {
  readonly #store: SealedStore;
  readonly #opened = new Map<string, Promise<Namespace>>();

  constructor(store: SealedStore) {
    this.#store = store;
  }

  /** @throws EvidenceError STORE_NAMESPACE_KIND when a line needs an erasable namespace and it is a plain one. */
  get(name: string, erasable: boolean): Promise<Namespace> {
    const key = `${erasable} ${name}`;
    const open = () =>
      erasable ? this.#store.namespace(name, { erasable }) : anyNamespace(this.#store, name);
    const opened = this.#opened.get(key) ?? open();
    this.#opened.set(key, opened);
    return opened;
  }
}
