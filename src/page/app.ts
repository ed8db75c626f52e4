import type { PageData } from '../http/page-data.ts';
import { el } from './dom.ts';
import { nodeView } from './node-view.ts';
import { quoteView } from './quote-view.ts';

/** Between two looks at the node, in milliseconds. */
const POLL_MS = 2_000;
/** After this time without an answer the page says that what it shows is old. */
const TIMEOUT_MS = 10_000;

const byId = (id: string): HTMLElement => {
  const element = document.getElementById(id);
  if (element === null) throw new TypeError(`the page has no element ${id}`);
  return element;
};

/** What is on the screen, so that nothing is drawn again that has not changed: a reader keeps its place. */
let drawn = '';

async function look(): Promise<void> {
  try {
    const response = await fetch('data.json', { signal: AbortSignal.timeout(TIMEOUT_MS), cache: 'no-store' });
    if (!response.ok) throw new Error(`the node answers ${response.status}`);
    // Made by the program that serves this page.
    draw((await response.json()) as PageData);
    say('live', 'good');
  } catch (error) {
    say(
      `no answer from the node: what is shown is old (${error instanceof Error ? error.message : error})`,
      'bad',
    );
  }
}

function draw(data: PageData): void {
  const text = JSON.stringify({ ...data, readAt: '' });
  if (text === drawn) return;
  drawn = text;
  const { status } = data;
  document.title = `${status.ready ? 'ready' : 'not ready'}: ${status.state} – Latchkey node`;
  byId('node-view').replaceChildren(...nodeView(data));
}

/** Written only when it changes: a screen reader reads it out each time. */
function say(text: string, kind: string): void {
  const place = byId('connection');
  if (place.textContent === text) return;
  place.replaceChildren(el('span', { class: `badge ${kind}` }, text));
}

function show(): void {
  const isQuote = location.hash === '#quote';
  byId('quote-view').hidden = !isQuote;
  byId('node-view').hidden = isQuote;
  for (const [id, isHere] of [['to-node', !isQuote] as const, ['to-quote', isQuote] as const]) {
    if (isHere) byId(id).setAttribute('aria-current', 'page');
    else byId(id).removeAttribute('aria-current');
  }
}

async function follow(): Promise<void> {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

byId('quote-view').replaceChildren(quoteView());
addEventListener('hashchange', show);
document.addEventListener('visibilitychange', () => void look());
show();
void follow();
