import { readdirSync, readFileSync } from 'node:fs';
import { type Command, CommanderError } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandTree } from '../../../src/cli/command-tree.ts';
import { type DocumentedCommand, documentedCommands } from '../../support/documented-commands.ts';

const read = (page: string): string => readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
/** Pages that show how a command may be called (`[--json]`, `FILE`), and not a call. */
const synopses = ['chain', 'collateral', 'configuration', 'store', 'survival', 'tdx-verification'];
const pages = [
  ...readdirSync(new URL('../../../docs', import.meta.url))
    .filter((name) => name.endsWith('.md') && !synopses.includes(name.slice(0, -3)))
    .map((name) => `docs/${name}`),
  'README.md',
  'kit/README.md',
  'mock-tdx/README.md',
];
const calls = pages.flatMap((page) => documentedCommands(page, read(page)));

/** Failures of a fragment, such as `latchkey status --explain`, which are none of a whole line. */
const OF_FRAGMENTS = ['commander.missingArgument', 'commander.help'];

/** Programs that read their command line and do nothing; the one for fragments needs no option. */
let whole: Command;
let fragments: Command;
beforeAll(async () => {
  const idle = (command: Command, needsOptions: boolean): Command => {
    command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    if (!needsOptions) for (const option of command.options) option.makeOptionMandatory(false);
    for (const child of command.commands) idle(child, needsOptions);
    return command;
  };
  whole = idle(await commandTree(), true);
  fragments = idle(await commandTree(), false);
});

/** What is wrong with a call; nothing when the program would take it. */
async function complaint({
  args,
  isWhole,
}: Pick<DocumentedCommand, 'args' | 'isWhole'>): Promise<string | undefined> {
  // `fleet draft|sign` names several commands, and `--wait|--cancel` several options.
  const alternatives = args.findIndex((word) => /^[a-z-]+(\|[a-z-]+)+$/.test(word));
  if (alternatives >= 0) {
    for (const word of (args[alternatives] ?? '').split('|')) {
      const found = await complaint({ args: args.with(alternatives, word), isWhole });
      if (found !== undefined) return found;
    }
    return undefined;
  }
  try {
    await (isWhole ? whole : fragments).parseAsync(args, { from: 'user' });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.version') return undefined;
    // A value such as 0x… stands for one that the reader has.
    if (error.code === 'commander.invalidArgument' && args.some((word) => word.includes('…')))
      return undefined;
    if (!isWhole && OF_FRAGMENTS.includes(error.code)) return undefined;
    return error.message;
  }
}

describe('the command lines of the documents', () => {
  it.each(pages)(
    '%s: every command and every option exists, and each line of a block is complete',
    async (page) => {
      const wrong: string[] = [];
      for (const call of calls.filter((each) => each.page === page)) {
        const found = await complaint(call);
        if (found !== undefined) wrong.push(`${call.text}: ${found}`);
      }
      expect(wrong).toEqual([]);
    },
  );

  it('are many', () => {
    expect(calls.filter(({ page }) => page === 'docs/runbooks.md').length).toBeGreaterThan(40);
    expect(calls.filter(({ isWhole }) => isWhole).length).toBeGreaterThan(40);
  });
});

describe('the check itself', () => {
  const page = [
    '```sh',
    'npx latchkey serve --config a.yaml && systemctl stop latchkey   # latchkey nonsense',
    'latchkey serve',
    'latchkey serv --config a.yaml',
    'latchkey drain --config a.yaml --wiat',
    '```',
    'and `latchkey status --explain`, `latchkey status --explian`, `latchkey audit show|verify`, `latchkey audit shw`',
  ].join('\n');
  it('finds commands and options that do not exist, and what is missing in a whole line', async () => {
    const found: (string | undefined)[] = [];
    for (const call of documentedCommands('page', page)) found.push(await complaint(call));
    expect(found.map((text) => text === undefined)).toEqual([
      true,
      false,
      false,
      false,
      true,
      false,
      true,
      false,
    ]);
  });
});
