/** One call of `latchkey` in a document. */
export interface DocumentedCommand {
  readonly page: string;
  /** As it stands there. */
  readonly text: string;
  /** The arguments after `latchkey`. */
  readonly args: readonly string[];
  /** Whether it is a line of a code block, so that it must be complete. */
  readonly isWhole: boolean;
}

/** Words before a command that begin no other one. */
const BEFORE = ['npx', 'until', 'while', 'if', 'do', 'then'];
const OPERATORS = ['&&', '||', ';', '|', '>', '<'];

/** Words of a shell line; quotes hold words together. A comment ends the line. */
const wordsOf = (line: string): readonly string[] =>
  [...line.replace(/(?:^|\s)#.*$/, '').matchAll(/(?:"[^"]*"|'[^']*'|\$\([^)]*\)|[^\s"'])+/g)].map(([word]) =>
    word.replaceAll(/["']/g, ''),
  );

/** The calls in one shell line: what stands between the program's name and the next operator of the shell. */
function callsIn(line: string): readonly (readonly string[])[] {
  const calls: string[][] = [];
  let args: string[] | undefined;
  let isBegin = true;
  const normal = line.replaceAll('node dist/src/cli/main.js', 'latchkey');
  for (const word of wordsOf(normal.replaceAll(/(&&|\|\||;|\s\|\s|\s>\s|\s<\s)/g, ' $1 '))) {
    if (OPERATORS.includes(word)) [args, isBegin] = [undefined, true];
    // … stands for what the reader knows.
    else if (args !== undefined) args.push(...(word === '…' && !args.at(-1)?.startsWith('--') ? [] : [word]));
    else if (isBegin && word === 'latchkey') {
      args = [];
      calls.push(args);
    } else isBegin &&= BEFORE.includes(word);
  }
  return calls;
}

/** The text of a page, and the lines of its code blocks in a shell's language or none; a backslash joins lines. */
function partsOf(text: string): { readonly prose: string; readonly lines: readonly string[] } {
  const prose: string[] = [];
  const code: string[] = [];
  let fence: string | undefined;
  for (const line of text.split('\n')) {
    const [, language] = /^ *```(.*)$/.exec(line) ?? [];
    if (language !== undefined) fence = fence === undefined ? language : undefined;
    else if (fence === undefined) prose.push(line);
    else if (['', 'sh', 'bash', 'console'].includes(fence)) code.push(line.replace(/^\$ /, ''));
  }
  return { prose: prose.join('\n'), lines: code.join('\n').replaceAll('\\\n', ' ').split('\n') };
}

/** Every call in the code blocks of a page, and every inline code that begins with `latchkey`. */
export function documentedCommands(page: string, text: string): readonly DocumentedCommand[] {
  const { prose, lines } = partsOf(text);
  const inline = [...prose.matchAll(/`([^`]+)`/g)]
    .map(([, code = '']) => code.replaceAll('\\|', '|').replaceAll(/[[\]]/g, ''))
    .filter((code) => /^(?:npx )?latchkey /.test(code));
  return [
    ...lines.map((line) => ({ line, isWhole: true })),
    ...inline.map((line) => ({ line, isWhole: false })),
  ].flatMap(({ line, isWhole }) => callsIn(line).map((args) => ({ page, text: line.trim(), args, isWhole })));
}
