import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Candidate } from './mutation-candidates.ts';
import type { Outcome } from './mutation-tests.ts';

const SURVIVED = '-';
const ENDLESS = 'endless';

const textOf = (outcome: Outcome): string => {
  if (outcome === 'survived') return SURVIVED;
  return outcome === 'endless' ? ENDLESS : outcome.noticedBy;
};
const lineOf = (id: string, outcome: Outcome): string => `${id} ${textOf(outcome)}\n`;

/** Outcomes of a room in a file with a line for each: id, and the test file that noticed the mutation. */
export class MutationResults {
  readonly #path: string;
  readonly #outcomes: Map<string, Outcome>;

  constructor(room: string) {
    this.#path = join('test', 'mutations', `${room}.txt`);
    const lines = existsSync(this.#path) ? readFileSync(this.#path, 'utf8').split('\n') : [];
    this.#outcomes = new Map(
      lines.filter((line) => line !== '').map((line) => [line.split(' ')[0] ?? '', outcomeOf(line)]),
    );
  }

  get(id: string): Outcome | undefined {
    return this.#outcomes.get(id);
  }

  add(id: string, outcome: Outcome): void {
    this.#outcomes.set(id, outcome);
    mkdirSync(dirname(this.#path), { recursive: true });
    appendFileSync(this.#path, lineOf(id, outcome));
  }

  /** Writes the outcomes of these mutations in their order, and drops those of sources that have changed. */
  keepOnly(candidates: readonly Candidate[]): void {
    const lines = candidates.flatMap(({ id }) => {
      const outcome = this.#outcomes.get(id);
      return outcome === undefined ? [] : [lineOf(id, outcome)];
    });
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, lines.join(''));
  }
}

function outcomeOf(line: string): Outcome {
  const text = line.slice(line.indexOf(' ') + 1);
  if (text === SURVIVED) return 'survived';
  return text === ENDLESS ? 'endless' : { noticedBy: text };
}
