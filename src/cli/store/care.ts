import type { Command } from 'commander';
import { toHex } from '../../bytes/hex.ts';
import { createPasswordStore, withPasswordKey } from '../../store/password-store.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import { exitCodes } from '../shared/failure.ts';
import { print, type StoreIo } from './io.ts';
import { type PlaceOptions, placeCommand, withPlace, withReading, withStore } from './session.ts';

/** Adds `create`, `stat`, `check` and `compact`. */
export function addCareCommands(parent: Command, io: StoreIo): void {
  placeCommand(parent, 'create', 'make an empty store in a new or empty folder').action(
    (options: PlaceOptions) => create(io, options),
  );
  placeCommand(parent, 'stat', 'print numbers about the store').action((options: PlaceOptions) =>
    stat(io, options),
  );
  placeCommand(
    parent,
    'check',
    'verify everything without changing anything; exit code 1 when damaged',
  ).action((options: PlaceOptions) => check(io, options));
  placeCommand(parent, 'compact', 'rewrite the log without what was overwritten or deleted').action(
    (options: PlaceOptions) => compact(io, options),
  );
}

/** Prints one object: as JSON, or as lines `name: value`. */
export async function printFacts(
  io: StoreIo,
  json: true | undefined,
  facts: Readonly<Record<string, string | number | boolean>>,
): Promise<void> {
  const lines = Object.entries(facts).map(([name, value]) => `${name}: ${value}\n`);
  await print(io.stdout, json ? `${JSON.stringify(facts)}\n` : lines.join(''));
}

async function create(io: StoreIo, options: PlaceOptions): Promise<void> {
  await withPlace(options, async (place) => {
    const store = await createPasswordStore(place);
    const storeId = toHex(store.storeId);
    await store.close();
    await printFacts(io, options.json, { created: place.path, storeId });
  });
}

async function stat(io: StoreIo, options: PlaceOptions): Promise<void> {
  await withReading(options, async (store) => {
    const names = store.namespaces();
    const records = names.reduce((sum, name) => sum + (store.namespace(name)?.size ?? 0), 0);
    await printFacts(io, options.json, {
      storeId: toHex(store.storeId),
      namespaces: names.length,
      records,
      segments: store.segments,
      diskBytes: store.bytes.disk,
      liveBytes: store.bytes.live,
      generation: store.head.generation,
      sequence: store.head.sequence,
      digest: toHex(store.head.digest),
    });
  });
}

async function check(io: StoreIo, options: PlaceOptions): Promise<void> {
  const report = await withPlace(options, (place) => {
    const { path, fileSystem } = place;
    return withPasswordKey(place, (storeKey) => SealedStore.check({ path, fileSystem, storeKey }));
  });
  const { isSound, problems, tornBytes, namespaces, records } = report;
  if (options.json)
    await print(io.stdout, `${JSON.stringify({ isSound, problems, tornBytes, namespaces, records })}\n`);
  else {
    for (const { code, message } of problems) await print(io.stdout, `${code}: ${message}\n`);
    if (tornBytes > 0)
      await print(io.stdout, `${tornBytes} bytes of an unfinished write at the end; harmless\n`);
    await print(io.stdout, isSound ? `sound: ${records} records in ${namespaces} namespaces\n` : 'damaged\n');
  }
  if (!isSound) io.exit(exitCodes.refused);
}

async function compact(io: StoreIo, options: PlaceOptions): Promise<void> {
  await withStore(options, async (store) => {
    const before = store.stat().diskBytes;
    if (io.terminal.stderr) io.stderr.write(`compacting ${before.toLocaleString('en')} bytes …\n`);
    await store.compact();
    await printFacts(io, options.json, { bytesBefore: before, bytesAfter: store.stat().diskBytes });
  });
}
