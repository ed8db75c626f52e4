import type { StoreIo } from './io.ts';

const REDRAW_MS = 100;

/** A line on a person's terminal that counts while long work runs; elsewhere it prints nothing. */
export interface Progress {
  /** `total` where it is known. */
  update(done: number, total?: number): void;
  /** Removes the line. */
  end(): void;
}

/** Starts a line such as `importing 12,000 of 50,000 records`. */
export function startProgress(
  { stderr, terminal }: StoreIo,
  doing: string,
  unit: string,
  now: () => number = Date.now,
): Progress {
  if (!terminal.stderr) return { update: () => undefined, end: () => undefined };
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  let width = 0;
  const draw = (text: string): void => {
    stderr.write(`\r${text.padEnd(width)}`);
    width = text.length;
  };
  return {
    update(done, total) {
      if (now() - drawnAtMs < REDRAW_MS) return;
      drawnAtMs = now();
      const of = total === undefined ? '' : ` of ${total.toLocaleString('en')}`;
      draw(`${doing} ${done.toLocaleString('en')}${of} ${unit}`);
    },
    end() {
      if (width === 0) return;
      draw('');
      stderr.write('\r');
    },
  };
}
