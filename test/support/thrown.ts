import { LatchkeyError } from '../../src/errors/latchkey-error.ts';

/** What a call throws; its value when it throws nothing, so that a test that expects an error shows it. */
export function thrownBy(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

/** The code of the LatchkeyError that a call throws; another error goes through, and no error is `'none'`. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
  return 'none';
}
