import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../../../src', import.meta.url));

/**
 * Files outside of `disk` that use `node:fs`, and what they touch. None of it is in the data folder, which belongs to the
 * host: there every file is opened by `openRegular` of `src/disk/descriptors.ts`.
 */
const elsewhere: Readonly<Record<string, string>> = {
  'chain/decoder/main.ts': 'memory limit of its own process in /proc',
  'cli/commands/backup.ts': 'the backup file that the operator names',
  'cli/commands/collateral.ts': 'the collateral file that the operator names',
  'cli/commands/decryptions.ts': 'the configuration of the decryption service',
  'cli/custody/answer.ts': 'the journal of a custodian',
  'cli/doctor/disk.ts': 'room and mount of the data folder, which it does not open',
  'cli/doctor/finding.ts': 'files of the kernel in /proc and /sys',
  'cli/doctor/permissions.ts': 'modes and owners in the data folder, of which it opens nothing',
  'cli/luks/volume.ts': 'a LUKS header in a folder in memory',
  'cli/quote/inputs.ts': 'quotes that the operator names',
  'cli/rituals/backup.ts': 'where the path of a backup leads, of which it opens nothing',
  'cli/rituals/config-file.ts': 'the configuration of the rituals',
  'cli/service/core-files.ts': 'what core files of its own process hold, in /proc',
  'cli/shared/backup-location.ts': 'names of backups, in the folder that the operator names',
  'cli/shared/config-options.ts': 'the configuration of the node',
  'cli/shared/decryptions-server.ts': 'key and certificate that the configuration names',
  'cli/shared/file-io.ts': 'files that the operator names',
  'cli/shared/version.ts': 'the manifest of this package',
  'cli/shared/user-file.ts': 'password and value files that the operator names',
  'config/file-permissions.ts': 'permissions of token and password files, which it does not open',
  'config/secrets.ts': 'token and password files that the configuration names',
  'http/listener.ts': 'the socket of the listener',
  'http/page-app.ts': 'the built status page of this package',
  'quote-source/tsm-file-system.ts': 'configfs of the kernel',
};

/** Files of `disk` that open a file or folder themselves; the rest goes through them. */
const openers = ['disk/descriptors.ts'];

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const sourceOf = (name: string): string => readFileSync(join(src, name), 'utf8');
const usesNodeFs = (name: string): boolean =>
  /from '(?:node:)?fs(?:\/promises)?'|import\('(?:node:)?fs|require\(|process\.binding/.test(sourceOf(name));

describe('the data folder', () => {
  it('is accessed by the disk room only', () => {
    const outside = files.filter((name) => !name.startsWith('disk/') && usesNodeFs(name)).sort();
    expect(outside).toEqual(Object.keys(elsewhere).sort());
  });

  it('is opened by one guarded function', () => {
    const opening =
      /\b(?:open|openSync|readFile|writeFile|appendFile|createReadStream|createWriteStream|copyFile|cp|truncate|chown)(?:Sync)?,?\s[^;]*from 'node:fs/;
    const found = files.filter((name) => name.startsWith('disk/') && opening.test(sourceOf(name)));
    expect(found.filter((name) => !openers.includes(name))).toEqual(['disk/descriptor-pool.ts']);
    // The pool reads its own limits in /proc and nothing else.
    const pool = sourceOf('disk/descriptor-pool.ts');
    expect([...pool.matchAll(/readFileSync\(('[^']*')/g)].map((match) => match[1])).toEqual([
      "'/proc/self/limits'",
    ]);
    const unguarded = files.filter((name) => /openDescriptor\(/.test(sourceOf(name)));
    // Folders are opened by descriptor to lock them, and to make what is in them durable.
    expect(unguarded.sort()).toEqual([
      'disk/descriptors.ts',
      'disk/node-file-system.ts',
      'disk/socket-lock.ts',
    ]);
    for (const name of ['disk/node-file-system.ts', 'disk/socket-lock.ts'])
      expect(sourceOf(name).match(/openDescriptor\([^)]*\)/g)).toEqual([
        expect.stringContaining('O_DIRECTORY') as string,
      ]);
  });
});

describe('the store', () => {
  it('has no circle of imports, not even of types', () => {
    const rooms = files.filter((name) => name.startsWith('store/') || name.startsWith('disk/'));
    const importsOf = new Map(
      rooms.map((name) => [
        name,
        [...sourceOf(name).matchAll(/from '(\.[^']+)'/g)].map((match) =>
          relative(src, join(src, dirname(name), match[1] ?? '')),
        ),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (name: string, way: readonly string[]): void => {
      if (way.includes(name)) circles.push([...way.slice(way.indexOf(name)), name].join(' → '));
      if (way.includes(name) || done.has(name)) return;
      for (const next of importsOf.get(name) ?? []) visit(next, [...way, name]);
      done.add(name);
    };
    for (const name of rooms) visit(name, []);
    expect(importsOf.size).toBeGreaterThan(50);
    expect(circles).toEqual([]);
  });
});
