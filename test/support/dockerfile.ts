/** One instruction of a Dockerfile, with the stage in which it stands. */
export interface Instruction {
  readonly stage: string;
  readonly name: string;
  /** Everything after the name, on one line. */
  readonly text: string;
}

/** Reads the instructions of a Dockerfile; a backslash joins lines. */
export function readDockerfile(source: string): readonly Instruction[] {
  const lines = source.replaceAll('\\\n', ' ').split('\n');
  let stage = '';
  return lines
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', ...rest] = line.trim().split(/\s+/);
      if (name === 'FROM') stage = rest.at(-1) ?? '';
      return { stage, name, text: rest.join(' ') };
    });
}

/** A COPY: which stage it takes from (the context where none is named), which paths, and to where. */
export function copyOf({ text }: Instruction): {
  readonly from: string | undefined;
  readonly paths: readonly string[];
  readonly to: string;
} {
  const words = text.split(' ');
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  const paths = words.filter((word) => !word.startsWith('--'));
  return { from, paths: paths.slice(0, -1), to: paths.at(-1) ?? '' };
}

/** The words of an instruction in its JSON form. @throws SyntaxError where it is in the form of a shell. */
export const execForm = (text: string): readonly string[] => JSON.parse(text.slice(text.indexOf('[')));
