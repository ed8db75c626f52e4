import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const src = join(root, 'src');

/** Rooms from the bottom up; a file may import its own room and those before it. */
const layers = [
  ['errors'],
  ['crypto'],
  ['bytes'],
  ['der', 'disk', 'inbound', 'observe', 'outbound', 'time'],
  ['tdx'],
  ['collateral', 'quote-source', 'chain', 'inspect'],
  ['hpke'],
  ['trust'],
  ['fleet'],
  ['lineage'],
  ['protocol'],
  ['keyserver', 'store', 'channel'],
  ['keyslots', 'rituals', 'decryptions', 'epochs', 'ring', 'audit', 'entropy', 'transit'],
  ['secrets'],
  ['custody'],
  ['conformance'],
  ['boot'],
  ['client'],
  ['config'],
  ['restarts'],
  ['http'],
  ['agent'],
  ['node'],
  ['cli', 'page'],
] as const;
const levelOf = new Map(
  layers.flatMap((rooms, level) => rooms.map((room) => [room as string, level] as const)),
);

/** Files that import nothing of src, so that rooms below theirs may import them without a circle. */
const foundations: readonly string[] = ['bytes/copy-bytes.ts'];

/** Only these rooms may import cryptographic libraries. */
const cryptoImports = /^(node:crypto|@noble\/|@scure\/sr25519|shamir-secret-sharing)/;

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : path.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(path: string): string[] {
  const source = readFileSync(path, 'utf8');
  return [...source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

const roomOf = (path: string): string | undefined => {
  const parts = relative(src, path).split('/');
  return parts.length > 1 ? parts[0] : undefined;
};

describe('architecture', () => {
  const files = filesBelow(src);

  it('every room has a layer', () => {
    const rooms = new Set(files.map(roomOf).filter((room) => room !== undefined));
    expect([...rooms].filter((room) => !levelOf.has(room))).toEqual([]);
  });

  it('imports go downwards only', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const room = roomOf(file);
      if (room === undefined) continue;
      for (const specifier of importsOf(file).filter((text) => text.startsWith('.'))) {
        const target = resolve(dirname(file), specifier);
        const targetRoom = roomOf(target);
        const allowed =
          targetRoom === room ||
          foundations.includes(relative(src, target)) ||
          (targetRoom !== undefined && (levelOf.get(targetRoom) ?? 99) < (levelOf.get(room) ?? -1));
        if (!allowed) wrong.push(`${relative(root, file)} imports ${relative(root, target)}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('the files that every room may import import nothing of src', () => {
    const own = foundations.flatMap((file) =>
      importsOf(join(src, file)).filter((text) => text.startsWith('.')),
    );
    expect(own).toEqual([]);
  });

  it('src imports neither mock-tdx nor devnet nor test', () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter(
          (text) => text.startsWith('.') && relative(src, resolve(dirname(file), text)).startsWith('..'),
        )
        .map((text) => `${relative(root, file)} imports ${text}`),
    );
    expect(wrong).toEqual([]);
  });

  it('nothing but the decoder process imports @polkadot, and nothing imports the decoder process', () => {
    const decoder = join(src, 'chain', 'decoder');
    const outside = files.filter((file) => !file.startsWith(`${decoder}/`));
    const wrong = outside.flatMap((file) =>
      importsOf(file)
        .filter(
          (text) => text.startsWith('@polkadot') || resolve(dirname(file), text).startsWith(`${decoder}/`),
        )
        .map((text) => `${relative(root, file)} imports ${text}`),
    );
    expect(wrong).toEqual([]);
    // The walk would see it: inside of the decoder it is there.
    const inside = files.filter((file) => file.startsWith(`${decoder}/`)).flatMap(importsOf);
    expect(inside).toContain('@polkadot/api');
  });

  it('only src/crypto imports cryptographic libraries', () => {
    const wrong = files
      .filter((file) => roomOf(file) !== 'crypto')
      .filter((file) => importsOf(file).some((text) => cryptoImports.test(text)))
      .map((file) => relative(root, file));
    expect(wrong).toEqual([]);
  });
});
