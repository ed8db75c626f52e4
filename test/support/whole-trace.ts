import type { Observer } from './instrumented.ts';

/** A digest of everything that happened, and how many numbers were too large for a small integer. */
export class WholeTrace implements Observer {
  #digest = 0;
  #events = 0;
  largeNumbers = 0;

  access(site: number, _name: string, key: unknown): void {
    const details = typeof key === 'number' ? [key] : Buffer.from(String(key));
    for (const detail of details) this.#add(site, detail);
  }

  branch(site: number, taken: boolean): void {
    this.#add(site, taken ? 1 : 2);
  }

  operation(site: number, isSmall: boolean): void {
    this.#add(site, isSmall ? 3 : 4);
    if (!isSmall) this.largeNumbers++;
  }

  /** What happened since the last call. */
  take(): string {
    const taken = `${this.#events} events, digest ${this.#digest}`;
    this.#digest = 0;
    this.#events = 0;
    return taken;
  }

  #add(site: number, detail: number): void {
    this.#events++;
    this.#digest = Math.imul(this.#digest ^ Math.imul(site, 0x9e3779b1) ^ detail, 0x01000193);
  }
}
