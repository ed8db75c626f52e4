import { describe, expect, it } from 'vitest';
import { rotationFailure } from '../../../src/cli/commands/rotate.ts';

/** Only the node knows which key is in force: it says so in its own words, where it is certain. */
const claim = 'the store key was not changed';

describe('what `latchkey rotate` says of a change that did not end well', () => {
  it('does not say that the former key is in force, when the disk failed while the key changed', () => {
    const { code, message, hint } = rotationFailure({
      state: 'failed',
      code: 'STORE_WRITE_FAILED',
      detail: 'the disk failed while writing MANIFEST: EIO',
    });
    expect([code, message]).toEqual([
      'STORE_WRITE_FAILED',
      'the change of the store key failed: the disk failed while writing MANIFEST: EIO',
    ]);
    expect(hint).toContain('status --explain');
  });

  it('gives the words of a node that is certain', () => {
    const detail = `${claim}: 3 of 5 servers keep their new slot`;
    expect(rotationFailure({ state: 'failed', code: 'ROTATION_INCOMPLETE', detail }).message).toContain(
      claim,
    );
  });

  it('does not say it either, when the node was restarted meanwhile and knows of no change', () => {
    const { code, message } = rotationFailure({ state: 'never' });
    expect(code).toBe('INTERNAL');
    expect(message).toContain('the node was restarted');
    expect(message).not.toContain(claim);
    expect(message).not.toContain('undefined');
  });
});
