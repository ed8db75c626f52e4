import { escapeControls } from '../../bytes/escape-controls.ts';
import { LatchkeyError } from '../../errors/latchkey-error.ts';

/** Exit codes that every command shares. */
export const exitCodes = {
  ok: 0,
  /** The answer is no: refused, damaged, not there. */
  refused: 1,
  /** Could not decide or could not do it: locked, unreachable, misused, failed. */
  failed: 2,
} as const;

/**
 * Prints an error for a person, on stderr, and sets the exit code: the code, the message, what was expected, what
 * came, and the hint. A stack trace only for bugs.
 */
export function reportFailure(error: unknown): void {
  if (error instanceof LatchkeyError) {
    process.stderr.write(`latchkey: ${error.code}: ${escapeControls(error.message)}\n`);
    if (error.hint !== undefined) process.stderr.write(`  hint: ${escapeControls(error.hint)}\n`);
    process.exitCode = error.family === 'problem' ? exitCodes.failed : exitCodes.refused;
    return;
  }
  process.stderr.write(`latchkey: unexpected: ${textOfBug(error)}\n`);
  process.exitCode = exitCodes.failed;
}

/** The stack of an error. Anything can be thrown, and turning it into text could throw again. */
export function textOfBug(error: unknown): string {
  if (error instanceof Error) return error.stack ?? error.message;
  return typeof error === 'string' ? error : `a thrown ${typeof error}`;
}
