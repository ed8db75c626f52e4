// Writes a manual page for the program and one for each command group into dist/man, from the built command tree.
// The build runs it; the pages have no date, so two builds of one source are equal.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Text for roff: a backslash, and a dot or quote at the start of a line, have meanings of their own; it is all ASCII. */
const plain = (text) =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('’', "'")
    .replaceAll(/\s+/g, ' ')
    .replace(/^([.'])/, '\\&$1')
    .replaceAll(
      /[^ -~]/gu,
      (sign) => `\\[u${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
    );
const bold = (text) => `\\fB${plain(text)}\\fR`;
const sentence = (text) =>
  plain(`${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`);

const listed = (term, text) => ['.TP', term, sentence(text)];

const nameOf = ({ path }) => ['latchkey', ...path].join(' ');

function synopsis({ usage, ...command }) {
  return ['.SH SYNOPSIS', `${bold(nameOf(command))} ${plain(usage)}`];
}

function optionsOf(command) {
  return [
    ...command.args.flatMap(({ form, description }) =>
      listed(plain(form), description === '' ? `the argument ${form}` : description),
    ),
    ...command.options.flatMap(({ flags, description }) => listed(bold(flags), description)),
  ];
}

/** A command below a group, with the commands below it. */
const subsections = (command) => [
  `.SS ${bold(nameOf(command))} ${plain(command.usage)}`,
  sentence(command.description),
  ...optionsOf(command),
  ...command.commands.flatMap(subsections),
];

const exitStatus = [
  '.SH EXIT STATUS',
  ...listed('0', 'done; what was asked for is so'),
  ...listed('1', 'refused, or the answer is no'),
  ...listed('2', 'it could not be decided or done; also misuse'),
];

const seeAlso = (names) => [
  '.SH SEE ALSO',
  `${names.map((name) => `${bold(name)}(1)`).join(', ')}; docs/operations.md and docs/runbooks.md of the package.`,
];

const pageName = ({ path }) => ['latchkey', ...path].join('-');

function page(command, version, others) {
  const lines = [
    `.TH ${pageName(command).toUpperCase().replaceAll('-', '\\-')} 1 "" "latchkey ${plain(version)}" "Latchkey"`,
    '.SH NAME',
    `${plain(pageName(command))} \\- ${plain(command.description)}`,
    ...synopsis(command),
    '.SH DESCRIPTION',
    sentence(command.description),
    '.SH OPTIONS',
    ...optionsOf(command),
    ...(command.commands.length === 0
      ? []
      : command.path.length === 0
        ? [
            '.SH COMMANDS',
            ...command.commands.flatMap((each) => listed(`${bold(pageName(each))}(1)`, each.description)),
          ]
        : ['.SH COMMANDS', ...command.commands.flatMap(subsections)]),
    ...exitStatus,
    ...seeAlso(others),
  ];
  return `${lines.join('\n')}\n`;
}

/** All pages by file name. @param program what `describeCommands` says of the whole program. */
export function manPages(program, version) {
  return new Map([
    ['latchkey.1', page(program, version, program.commands.map(pageName))],
    ...program.commands.map((command) => [`${pageName(command)}.1`, page(command, version, ['latchkey'])]),
  ]);
}

/** Writes the pages of the built program. */
export async function writeManPages() {
  const dist = new URL('../dist/', import.meta.url);
  const { commandTree } = await import(new URL('src/cli/command-tree.js', dist).href);
  const { describeCommands } = await import(new URL('src/cli/completion/described-command.js', dist).href);
  const { programVersion } = await import(new URL('src/cli/shared/version.js', dist).href);
  const folder = fileURLToPath(new URL('man', dist));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of manPages(describeCommands(await commandTree()), programVersion()))
    writeFileSync(`${folder}/${name}`, text);
}
