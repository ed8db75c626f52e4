import type { Mutation } from './mutation-points.ts';

/** A mutation that was tried. */
export interface Tried {
  readonly file: string;
  readonly mutation: Mutation;
  /** Whether a test fails with it. */
  readonly isNoticed: boolean;
}

const MAX_SHOWN = 120;
const shown = (text: string): string => {
  const line = text.replace(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'");
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
};

/** Names a survivor by its texts: its line moves with every change of the file. */
const nameOf = ({ file, mutation }: Tried): string =>
  `\`${file}\` | \`${shown(mutation.original)}\` | \`${shown(mutation.replacement)}\``;

/** The reasons of a page, by survivor. */
export function readReasons(page: string): Map<string, string> {
  const rows = page.matchAll(/^\| (`.*`) \| ([^|]*) \|$/gm);
  return new Map([...rows].map(([, name = '', reason = '']) => [name, reason.trim()]));
}

/** The page of a room: counts, and its survivors with their reasons. */
export function reportOf(
  room: string,
  total: number,
  tried: readonly Tried[],
  reasons: ReadonlyMap<string, string>,
): { readonly text: string; readonly summary: string; readonly unexplained: readonly string[] } {
  const survivors = tried.filter(({ isNoticed }) => !isNoticed);
  const rows = [...new Set(survivors.map(nameOf))].map((name) => ({ name, reason: reasons.get(name) ?? '' }));
  const unexplained = rows.filter(({ reason }) => reason === '').map(({ name }) => name);
  const noticed = tried.length - survivors.length;
  const summary = `${noticed} of ${tried.length} tried mutations noticed, ${rows.length} kinds of survivors, ${unexplained.length} without a reason`;
  const date = new Date().toISOString().slice(0, 10);
  const text = `# Mutations of src/${room}

Made by \`npm run mutate -- ${room}\` on ${date}: ${total} mutations, ${total - tried.length} not tried yet; ${summary}. A survivor needs a test or a reason.

| file | source | changed to | reason |
|---|---|---|---|
${rows.map(({ name, reason }) => `| ${name} | ${reason} |`).join('\n')}
`;
  return { text, summary, unexplained };
}
