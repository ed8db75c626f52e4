import { describe, expect, it } from 'vitest';
import { refusalLine } from '../../../src/cli/custody/node-side.ts';
import { decodeAnswer } from '../../../src/custody/answer.ts';
import { encodeBlock } from '../../../src/custody/text-block.ts';
import { thrownBy } from '../../support/thrown.ts';

describe('what the tool shows of an answer that does not count', () => {
  it('has no control characters of the answer', () => {
    const forged = encodeBlock('ANSWER', { '\u001b[2K\rthe parts give the store key': 1, format: 'x' });
    const error = thrownBy(() => decodeAnswer(forged));
    const detail = error instanceof Error ? error.message : expect.fail();
    const line = refusalLine({ code: 'CUSTODY_BLOCK_MALFORMED', detail });
    expect(line).toMatch(/^refused: CUSTODY_BLOCK_MALFORMED: [^\p{Cc}]*\n$/u);
    expect(refusalLine({ code: 'X', detail: '\u001b[2K\r\u202e' })).toBe(
      'refused: X: \\u{1b}[2K\\u{d}\\u{202e}\n',
    );
  });
});
