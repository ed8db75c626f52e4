import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandTree } from '../../src/cli/command-tree.ts';
import {
  allCommands,
  type DescribedCommand,
  describeCommands,
} from '../../src/cli/completion/described-command.ts';

const folder = fileURLToPath(new URL('../../dist/man', import.meta.url));
const pages = readdirSync(folder);
const has = (program: string, args: readonly string[]): boolean => spawnSync(program, args).status === 0;
const hasMan = has('man', ['--version']);
const hasMandoc = spawnSync('mandoc', ['-Tlint', '/dev/null']).error === undefined;
const hasGroff = has('groff', ['--version']);

let program: DescribedCommand;
beforeAll(async () => {
  program = describeCommands(await commandTree());
});

/** A page as text, without the line breaks and hyphens that its width makes. */
const textOf = (page: string): string =>
  spawnSync('man', ['-E', 'ascii', '-P', 'cat', '-l', join(folder, page)], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', MANWIDTH: '2000', LC_ALL: 'C' },
  }).stdout;

describe('the manual pages of the build', () => {
  it('are one for the program and one for each command group', () => {
    const names = program.commands.map(({ path }) => `latchkey-${path.join('-')}.1`);
    expect([...pages].sort()).toEqual([...names, 'latchkey.1'].sort());
  });

  it('are ASCII, and have no date', () => {
    for (const page of pages) {
      const text = readFileSync(join(folder, page), 'utf8');
      expect(text, page).toMatch(/^[\n -~]+$/);
      expect(text.split('\n')[0], page).toContain(' 1 "" "latchkey ');
    }
  });

  it.skipIf(!hasMan)('name every command and every option, as `man` shows them', () => {
    for (const group of program.commands) {
      const text = textOf(`latchkey-${group.path.join('-')}.1`);
      for (const command of allCommands(group)) {
        expect(text).toContain(['latchkey', ...command.path].join(' '));
        for (const { flags, description } of command.options) {
          expect(text).toContain(flags);
          // The page begins descriptions with a capital letter, and writes signs beyond ASCII in its own way.
          expect(text).toContain(
            description
              .slice(1, 30)
              .split(/[^ -~`]/)[0]
              ?.trimEnd(),
          );
        }
      }
    }
  });

  it.skipIf(!hasMandoc)('have nothing that mandoc warns of, besides the missing date', () => {
    const { stdout } = spawnSync(
      'mandoc',
      ['-Tlint', '-Wwarning', ...pages.map((page) => join(folder, page))],
      {
        encoding: 'utf8',
      },
    );
    expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
  });

  it.skipIf(!hasGroff)('have nothing that groff warns of', () => {
    const { stderr } = spawnSync(
      'groff',
      ['-man', '-ww', '-Tascii', ...pages.map((page) => join(folder, page))],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
  });
});
