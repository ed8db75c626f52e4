import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandTree } from '../../../src/cli/command-tree.ts';
import { bashCompletion } from '../../../src/cli/completion/bash.ts';
import {
  allCommands,
  type DescribedCommand,
  describeCommands,
} from '../../../src/cli/completion/described-command.ts';
import { fishCompletion } from '../../../src/cli/completion/fish.ts';
import { zshCompletion } from '../../../src/cli/completion/zsh.ts';

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

let folder: string;
let program: DescribedCommand;
let commands: readonly DescribedCommand[];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-completion-'));
  program = describeCommands(await commandTree());
  commands = allCommands(program);
  writeFileSync(join(folder, 'latchkey.bash'), bashCompletion(program));
  writeFileSync(join(folder, '_latchkey'), zshCompletion(program));
  writeFileSync(join(folder, 'latchkey.fish'), fishCompletion(program));
  writeFileSync(join(folder, 'a file.yaml'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a shell in the folder. @returns the lines that it prints; what it prints on standard error is a failure. */
function linesOf(shell: string, args: readonly string[], script: string): readonly string[] {
  const { stdout, stderr, status } = spawnSync(shell, [...args, script], { cwd: folder, encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter((line) => line !== '');
}

/** What each shell offers after a line; the last word is the one that is being typed. Many lines at one start. */
type Offers = (lines: readonly (readonly string[])[]) => readonly (readonly string[])[];

function split(lines: readonly string[]): readonly (readonly string[])[] {
  const groups: string[][] = [];
  for (const line of lines) {
    if (line === '--next--') groups.push([]);
    else groups.at(-1)?.push(line);
  }
  return groups.map((group) => group.sort());
}
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

const bash: Offers = (asked) => {
  const steps = asked.map(
    (words) =>
      `COMP_WORDS=(latchkey ${words.map(quoted).join(' ')}); COMP_CWORD=${words.length}; _latchkey; printf '%s\\n' --next-- "\${COMPREPLY[@]}"`,
  );
  return split(linesOf('bash', ['--norc', '-c'], `source latchkey.bash\n${steps.join('\n')}`));
};

/** `complete -C` adds descriptions after a tab. */
const fish: Offers = (asked) => {
  const steps = asked.map(
    (words) => `echo --next--; complete -C ${quoted(`latchkey ${words.join(' ')}`)} | string split -f1 \\t`,
  );
  return split(linesOf('fish', ['--no-config', '-c'], `source latchkey.fish\n${steps.join('\n')}\ntrue`));
};

/** The functions of zsh that offer words print them here, as only its line editor could show them. */
const zsh: Offers = (asked) => {
  const stubs = `
compdef() { : }
compadd() { shift; print -l -- \${(M)@:#$PREFIX*} }
_files() { print -l -- *(N) }
_describe() { local each; for each in \${(P)argv[-1]}; do [[ $each == $PREFIX* ]] && print -r -- \${each%%:*}; done }
source ./_latchkey`;
  const steps = asked.map(
    (words) =>
      `echo --next--; words=(latchkey ${words.map(quoted).join(' ')}); CURRENT=${words.length + 1}; PREFIX=${quoted(words.at(-1) ?? '')}; _latchkey`,
  );
  return split(linesOf('zsh', ['-f', '-c'], `${stubs}\n${steps.join('\n')}\ntrue`));
};

const sorted = (names: readonly string[]): readonly string[] => [...names].sort();
const longNames = ({ options }: DescribedCommand): readonly string[] =>
  options.flatMap(({ names }) => names.filter((name) => name.startsWith('--')));

describe.each([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
] as const)('completion in %s', (shell, offers) => {
  const skipped = !has(shell);

  it.skipIf(skipped)('offers every command at its place', () => {
    const groups = commands.filter((command) => command.commands.length > 0);
    expect(groups.length).toBeGreaterThan(8);
    const got = offers(groups.map(({ path }) => [...path, '']));
    expect(got).toEqual(groups.map((group) => sorted(group.commands.map(({ path }) => path.at(-1) ?? ''))));
  });

  it.skipIf(skipped)('offers every option of every command, and none of another one', () => {
    const got = offers(commands.map(({ path }) => [...path, '--']));
    expect(got).toEqual(commands.map((command) => sorted(longNames(command))));
    expect(got.flat().length).toBeGreaterThan(200);
  });

  it.skipIf(skipped)(
    'goes on with what was begun, offers allowed values, and files where a path is wanted',
    () => {
      const [begun, choice, shells, file, free] = offers([
        ['dra'],
        ['quote', 'verify', '--update', ''],
        ['completion', ''],
        ['serve', '--config', ''],
        ['drain', '--deadline-ms', ''],
      ]);
      expect(begun).toEqual(['drain']);
      expect(choice).toEqual(['early', 'standard']);
      expect(shells).toEqual(['bash', 'fish', 'zsh']);
      expect(file?.some((line) => line.replaceAll('\\', '').includes('a file.yaml'))).toBe(true);
      expect(free).toEqual([]);
    },
  );

  it.skipIf(skipped)('does not take the value of an option for a command', () => {
    const [value, nested] = offers([
      ['--config', 'fleet', ''],
      ['fleet', 'show', 'sign', '--'],
    ]);
    expect(value).toContain('serve');
    expect(nested).toEqual(['--help']);
  });
});

describe('the scripts', () => {
  it('need no option that takes a value in one command and none in another', () => {
    const kinds = (takes: boolean) =>
      commands.flatMap(({ options }) =>
        options.filter(({ takesValue }) => takesValue === takes).flatMap(({ names }) => names),
      );
    const valued = new Set(kinds(true));
    expect(kinds(false).filter((name) => valued.has(name))).toEqual([]);
  });

  it.each([
    ['bash', bashCompletion, ['-n']],
    ['zsh', zshCompletion, ['-n']],
    ['fish', fishCompletion, ['--no-execute']],
  ] as const)('%s: a description with quotes and substitutions stays text', (shell, make, check) => {
    const hostile = `it's "$(touch pwned)" \`touch pwned\` \\ : end`;
    const odd = new Command('latchkey').addCommand(
      new Command('sub').description(hostile).option('--x <value>', hostile),
    );
    const path = join(folder, `hostile.${shell}`);
    writeFileSync(path, make(describeCommands(odd)));
    if (!has(shell)) return;
    linesOf(shell, check, path);
    const stubs = shell === 'zsh' ? 'compdef() { : }; _describe() { : }; ' : '';
    const run = shell === 'zsh' ? '; words=(latchkey ""); CURRENT=2; _latchkey' : '';
    linesOf(
      shell,
      ['-c'],
      `${stubs}source ${path}${run}; ls pwned 2> /dev/null || true`.replace(
        '|| true',
        shell === 'fish' ? '; or true' : '|| true',
      ),
    );
    expect(spawnSync('ls', ['pwned'], { cwd: folder }).status).not.toBe(0);
  });
});
