import type { Mutation } from './mutation-points.ts';

/** A mutation of a room, and what is known of it. */
export interface Reported {
  readonly file: string;
  readonly mutation: Mutation;
  /** Whether a test fails with it; `undefined` while it was not tried with the present source. */
  readonly isNoticed: boolean | undefined;
}

const MAX_SHOWN = 120;
const shown = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'");
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
};

/** Names a survivor by its texts: its line moves with every change of the file. */
const nameOf = ({ file, mutation }: Reported): string =>
  `\`${file}\` | \`${shown(mutation.original)}\` | \`${shown(mutation.replacement)}\``;

/** The reasons of a page, by survivor. */
export function readReasons(page: string): Map<string, string> {
  const rows = page.matchAll(/^\| (`.*`) \| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, name = '', reason = '']) => [name, reason.trim()]));
}

/**
 * The page of a room: counts, and its survivors with their reasons. A mutation that is not tried yet keeps the row with its
 * reason, so that a change of its file does not lose what was written by hand.
 */
export function reportOf(
  room: string,
  all: readonly Reported[],
  reasons: ReadonlyMap<string, string>,
): { readonly text: string; readonly summary: string; readonly unexplained: readonly string[] } {
  const reasonOf = (name: string): string => reasons.get(name) ?? '';
  const tried = all.filter(({ isNoticed }) => isNoticed !== undefined);
  const survivors = tried.filter(({ isNoticed }) => !isNoticed);
  const names = new Set(survivors.map(nameOf));
  const unexplained = [...names].filter((name) => reasonOf(name) === '');
  const isKept = (one: Reported): boolean => one.isNoticed === undefined && reasonOf(nameOf(one)) !== '';
  const kept = all.filter(isKept).map(nameOf);
  const noticed = tried.length - survivors.length;
  const summary = `${noticed} of ${tried.length} tried mutations noticed, ${names.size} kinds of survivors, ${unexplained.length} without a reason`;
  const date = new Date().toISOString().slice(0, 10);
  const rows = [...new Set([...names, ...kept])].map((name) => `| ${name} | ${reasonOf(name)} |`);
  const text = `# Mutations of src/${room}

Made by \`npm run mutate -- ${room}\` on ${date}: ${all.length} mutations, ${all.length - tried.length} not tried yet; ${summary}. A survivor needs a test or a reason.

| file | source | changed to | reason |
|---|---|---|---|
${rows.join('\n')}
`;
  return { text, summary, unexplained };
}
