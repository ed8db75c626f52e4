/** Prints what happens: lines for a person, or JSON lines for a program. */
export class Timeline {
  readonly #json: boolean;
  readonly #start = performance.now();
  #failed = 0;

  constructor(json: boolean) {
    this.#json = json;
  }

  get failures(): number {
    return this.#failed;
  }

  /** A title between steps. */
  chapter(text: string): void {
    if (this.#json) console.log(JSON.stringify({ chapter: text, atMs: this.#now() }));
    else console.log(`\n${text}`);
  }

  /** Runs a step and prints how it ended and how long it took; a failure is counted and thrown on. */
  async step<T>(text: string, run: () => Promise<T>, detail?: (result: T) => string): Promise<T> {
    const start = performance.now();
    try {
      const result = await run();
      this.#print('ok', text, performance.now() - start, detail?.(result) ?? '');
      return result;
    } catch (error) {
      this.#failed++;
      this.#print(
        'FAILED',
        text,
        performance.now() - start,
        error instanceof Error ? error.message : String(error),
      );
      throw error;
    }
  }

  /** A line for programs only. */
  emit(value: Readonly<Record<string, unknown>>): void {
    if (this.#json) console.log(JSON.stringify(value));
  }

  /** A line for people only. */
  say(text: string): void {
    if (!this.#json) console.log(text);
  }

  #print(result: string, text: string, ms: number, detail: string): void {
    if (this.#json) {
      console.log(
        JSON.stringify({ step: text, ok: result === 'ok', ms: Math.round(ms), atMs: this.#now(), detail }),
      );
      return;
    }
    const mark = result === 'ok' ? '✓' : '✗ FAILED';
    const at = (this.#now() / 1000).toFixed(1).padStart(6);
    console.log(
      `${at} s  ${mark} ${text}  (${Math.round(ms)} ms)${detail === '' ? '' : `\n            ${detail}`}`,
    );
  }

  #now(): number {
    return Math.round(performance.now() - this.#start);
  }
}
