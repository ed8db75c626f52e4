import { describeQuote } from '../../inspect/describe-quote.ts';
import type { Quote } from '../../tdx/quote.ts';

/** The description as text for people. */
export function formatQuote(quote: Quote): string {
  const groups = Object.entries(describeQuote(quote)).map(([title, fields]) => {
    const lines = Object.entries(fields).map(([name, value]) => `  ${name.padEnd(20)} ${value}`);
    return [title, ...lines].join('\n');
  });
  return `${groups.join('\n\n')}\n\nNothing of this is verified; see latchkey quote verify.\n`;
}
