import { resolve } from 'node:path';
import type { Command } from 'commander';
import { toBase64 } from '../../bytes/base64.ts';
import { copyBytes } from '../../bytes/copy-bytes.ts';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import { MAX_VALUE_BYTES } from '../../store/api/limits.ts';
import { writeNewFile } from '../shared/file-io.ts';
import { printableName } from '../shared/terminal-text.ts';
import { readUserFile } from '../shared/user-file.ts';
import { print, readAll, type StoreIo } from './io.ts';
import { anyNamespace, type NamespaceOptions, namespaceCommand, withReading, withStore } from './session.ts';

interface PutOptions extends NamespaceOptions {
  readonly valueFile?: string;
  readonly ifAbsent?: true;
}

interface GetOptions extends NamespaceOptions {
  readonly out?: string;
}

interface ListOptions extends NamespaceOptions {
  readonly prefix?: string;
  readonly limit?: number;
  readonly all?: true;
}

/** Adds `put`, `get`, `list` and `delete`. */
export function addRecordCommands(parent: Command, io: StoreIo): void {
  namespaceCommand(parent, 'put <name>', 'store a value from stdin or a file; durable when it returns')
    .option('--value-file <file>', 'take the value from this file instead of stdin')
    .option('--if-absent', 'fail when there is a value already')
    .action((name: string, options: PutOptions) => put(io, name, options));
  namespaceCommand(parent, 'get <name>', 'print a value as it is; with --json as base64')
    .option('--out <file>', 'write it to a new file that only you can read')
    .action((name: string, options: GetOptions) => get(io, name, options));
  namespaceCommand(parent, 'list', 'print the names, in order')
    .option('--prefix <text>', 'only names that start with this')
    .option('--limit <count>', 'at most so many', parseCount)
    .option('--all', 'the names of all namespaces; with --json, each with its namespace')
    .action((options: ListOptions) => list(io, options));
  namespaceCommand(parent, 'delete <name>', 'remove a value; durable when it returns').action(
    (name: string, options: NamespaceOptions) => remove(io, name, options),
  );
}

async function put(io: StoreIo, name: string, options: PutOptions): Promise<void> {
  if (options.valueFile === undefined && io.terminal.stdin)
    io.stderr.write('reading the value from the terminal; end it with Ctrl-D\n');
  const value =
    options.valueFile === undefined
      ? await readAll(io.stdin, MAX_VALUE_BYTES)
      : await readUserFile(options.valueFile, 'value-file', MAX_VALUE_BYTES);
  await withStore(options, async (store) => {
    const namespace = await anyNamespace(store, options.namespace);
    if (options.ifAbsent === undefined) await namespace.put(name, value);
    else if (!(await namespace.putIfAbsent(name, value)))
      throw new EvidenceError('STORE_NAME_TAKEN', 'there is a value under this name already', {
        field: 'name',
      });
  });
  if (options.json) await print(io.stdout, `${JSON.stringify({ ack: name })}\n`);
}

async function get(io: StoreIo, name: string, options: GetOptions): Promise<void> {
  const value = await withReading(options, async (store) => store.namespace(options.namespace)?.get(name));
  if (value === undefined) throw missing();
  try {
    if (options.out !== undefined) await writeNewFile(resolve(options.out), 'out', (write) => write(value));
    else if (options.json) await print(io.stdout, `${JSON.stringify({ name, value: toBase64(value) })}\n`);
    else if (io.terminal.stdout) await print(io.stdout, `${textForTerminal(value)}\n`);
    else await print(io.stdout, copyBytes(value));
  } finally {
    value.fill(0);
  }
}

async function list(io: StoreIo, options: ListOptions): Promise<void> {
  await withReading(options, async (store) => {
    for (const namespace of options.all ? store.namespaces() : [options.namespace]) {
      const { prefix, limit } = options;
      const range = {
        ...(prefix === undefined ? {} : { prefix }),
        ...(limit === undefined ? {} : { limit }),
      };
      for (const name of store.namespace(namespace)?.names(range) ?? []) {
        const shown = options.all ? { namespace, name } : { name };
        await print(io.stdout, options.json ? `${JSON.stringify(shown)}\n` : `${printableName(name)}\n`);
      }
    }
  });
}

async function remove(io: StoreIo, name: string, options: NamespaceOptions): Promise<void> {
  const before = await withStore(options, async (store) => {
    // A read must not create a missing namespace.
    if (!store.hasNamespace(options.namespace)) return undefined;
    return (await anyNamespace(store, options.namespace)).delete(name);
  });
  if (before === undefined) throw missing();
  before.fill(0);
  if (options.json) await print(io.stdout, `${JSON.stringify({ deleted: name })}\n`);
}

const missing = (): EvidenceError =>
  new EvidenceError('STORE_NAME_MISSING', 'there is no value under this name', { field: 'name' });

function parseCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new EvidenceError('FIELD_INVALID', '--limit must be a whole number', { field: 'limit' });
}

/** @throws EvidenceError FIELD_INVALID when the bytes would garble the terminal. */
function textForTerminal(value: Uint8Array): string {
  const text = new TextDecoder('utf-8').decode(value);
  if (!/[\p{Cc}\p{Cf}\ufffd]/u.test(text.replaceAll(/[\n\t]/g, ''))) return text;
  throw new EvidenceError('FIELD_INVALID', 'the value is not text that a terminal can show', {
    field: 'value',
    hint: 'use --json, --out FILE, or redirect the output',
  });
}
