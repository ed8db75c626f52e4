import { latin1 } from '../bytes/native-bytes.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { describeQuote } from '../inspect/describe-quote.ts';
import { type Fact, quoteFacts, signatureFacts } from '../inspect/quote-facts.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../tdx/collateral.ts';
import { defaultPolicy } from '../tdx/policy.ts';
import type { Quote } from '../tdx/quote.ts';
import { parseBase64Quote, parseHexQuote, parsePaddedQuote } from '../tdx/quote-text.ts';
import { QuoteVerifier } from '../tdx/quote-verifier.ts';
import { insecureTrustRoot, TrustRoot } from '../tdx/trust-root.ts';
import { code, el, facts, section, shown } from './dom.ts';

/** Larger files are neither a quote nor collateral. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** What was dropped so far. */
interface Dropped {
  quote?: Quote;
  collateral?: CollateralDocuments;
  root?: TrustRoot;
}

/** The quote inspector: files are read, parsed and verified here, and go nowhere. */
export function quoteView(): HTMLElement {
  const dropped: Dropped = {};
  const messages = el('div', { role: 'status', id: 'quote-messages' });
  const result = el('div', { id: 'quote-result' });
  const input = el('input', {
    type: 'file',
    id: 'quote-files',
    multiple: '',
    'aria-describedby': 'quote-hint',
  });
  const take = async (files: Iterable<File>): Promise<void> => {
    const lines: string[] = [];
    for (const file of files) lines.push(await takeFile(file, dropped));
    messages.replaceChildren(...lines.map((line) => el('p', {}, line)));
    result.replaceChildren(...resultOf(dropped));
  };
  input.addEventListener('change', () => void take(input.files ?? []));
  const zone = el(
    'div',
    { class: 'drop', id: 'quote-drop' },
    el('label', { for: 'quote-files' }, 'Quote, and collateral where you have it'),
    input,
    el(
      'p',
      { id: 'quote-hint', class: 'quiet' },
      'Drop files here: a TDX quote (binary, hex or base64), a collateral set as JSON (latchkey collateral fetch), and for development a root certificate (PEM). They are read in this browser and sent nowhere.',
    ),
  );
  zone.addEventListener('dragover', (event) => event.preventDefault());
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    void take(event.dataTransfer?.files ?? []);
  });
  return section('Quote inspector', zone, messages, result);
}

/** Reads one file into what was dropped. @returns what it was, or why it is refused. */
async function takeFile(file: File, dropped: Dropped): Promise<string> {
  if (file.size > MAX_FILE_BYTES) return `${file.name}: larger than ${MAX_FILE_BYTES} bytes`;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = latin1(bytes).trim();
  try {
    if (text.startsWith('{')) {
      dropped.collateral = parseCollateralDocuments(JSON.parse(new TextDecoder().decode(bytes)));
      return `${file.name}: a collateral set`;
    }
    if (text.startsWith('-----BEGIN')) {
      dropped.root = insecureTrustRoot(text);
      return `${file.name}: a root certificate. INSECURE: quotes are verified up to it, and not to Intel's`;
    }
    dropped.quote = readQuote(bytes, text);
    return `${file.name}: a quote`;
  } catch (error) {
    return `${file.name}: ${reasonOf(error)}`;
  }
}

function readQuote(bytes: Uint8Array, text: string): Quote {
  if (/^(0x)?[0-9a-fA-F\s]+$/.test(text)) return parseHexQuote(text);
  if (/^[A-Za-z0-9+/=\s]+$/.test(text)) return parseBase64Quote(text);
  return parsePaddedQuote(bytes);
}

const reasonOf = (error: unknown): string =>
  error instanceof LatchkeyError ? `${error.code}: ${error.message}` : 'it is not what it looks like';

function resultOf({ quote, collateral, root = TrustRoot.intel }: Dropped): readonly HTMLElement[] {
  if (quote === undefined) return [];
  const verifier = new QuoteVerifier({ trustRoot: root });
  const nowMs = Date.now();
  if (collateral === undefined) {
    const checks = signatureFacts(verifier, quote, nowMs);
    const open: Fact = {
      mark: 'open',
      text: 'revocation, TCB level and policy: drop a collateral set to check them',
    };
    return [
      section('Checks', verdict([...checks, open]), factList([...checks, open])),
      ...fieldSections(quote),
    ];
  }
  const options = { collateral, nowMs };
  const { evidence, policy } = quoteFacts({ verifier, quote, options, policy: defaultPolicy });
  return [
    section(
      'Checks',
      verdict([...evidence, ...policy]),
      el('h3', {}, 'Evidence'),
      factList(evidence),
      el('h3', {}, 'Policy'),
      factList(policy),
    ),
    ...fieldSections(quote),
  ];
}

/** All of it in a word. */
function verdict(all: readonly Fact[]): HTMLElement {
  const [kind, text] = all.some(({ mark }) => mark === 'fails')
    ? ['bad', 'refused']
    : all.some(({ mark }) => mark === 'open')
      ? ['warn', 'not everything is checked']
      : ['good', 'accepted'];
  return el('p', { id: 'quote-verdict' }, el('strong', { class: `badge ${kind}` }, text));
}

const marks = {
  holds: { kind: 'good', sign: '✓', word: 'holds' },
  fails: { kind: 'bad', sign: '✗', word: 'fails' },
  open: { kind: 'open', sign: '·', word: 'not checked' },
} as const;

function factList(all: readonly Fact[]): HTMLElement {
  return el(
    'ul',
    { class: 'facts' },
    ...all.map(({ mark, text }) => {
      const { kind, sign, word } = marks[mark];
      return el(
        'li',
        { 'data-mark': mark },
        el('span', { class: `sign-box ${kind}`, 'aria-hidden': 'true' }, sign),
        el('span', { class: 'hidden-word' }, `${word}: `),
        text,
      );
    }),
  );
}

/** Every field, in Intel's terms. */
function fieldSections(quote: Quote): readonly HTMLElement[] {
  return Object.entries(describeQuote(quote)).map(([title, fields]) =>
    section(
      `Fields: ${title}`,
      facts(Object.entries(fields).map(([name, value]) => [name, code(shown(`${value}`))] as const)),
    ),
  );
}
