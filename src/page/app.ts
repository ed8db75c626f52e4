import type { PageData, ShownFleet } from '../http/page-data.ts';
import { el } from './dom.ts';
import { fleetView } from './fleet-view.ts';
import { nodeView } from './node-view.ts';
import { quoteView } from './quote-view.ts';

/** Between two looks at the node, in milliseconds. */
const POLL_MS = 2_000;
/** After this time without an answer the page says that what it shows is old. */
const TIMEOUT_MS = 10_000;

const views = ['node', 'fleet', 'quote'] as const;
type View = (typeof views)[number];

const byId = (id: string): HTMLElement => {
  const element = document.getElementById(id);
  if (element === null) throw new TypeError(`the page has no element ${id}`);
  return element;
};

const viewNow = (): View => views.find((view) => location.hash === `#${view}`) ?? 'node';

/** What is on the screen, so that nothing is drawn again that has not changed: a reader keeps its place. */
const drawn = new Map<View, string>();

function draw(view: View, text: string, elements: () => readonly HTMLElement[]): void {
  if (drawn.get(view) === text) return;
  drawn.set(view, text);
  // A table that somebody scrolls by keyboard keeps the focus.
  const label = document.activeElement?.getAttribute('aria-label');
  const place = byId(`${view}-view`);
  const hadFocus = place.contains(document.activeElement);
  place.replaceChildren(...elements());
  if (!hadFocus) return;
  for (const element of place.querySelectorAll<HTMLElement>('[tabindex]'))
    if (element.getAttribute('aria-label') === label) element.focus({ preventScroll: true });
}

async function look(): Promise<void> {
  try {
    drawNode((await ask('data.json')) as PageData);
    if (viewNow() === 'fleet') drawFleet((await ask('fleet.json')) as ShownFleet);
    say('live', 'good');
  } catch (error) {
    // What was said of restarts must not be believed any longer.
    drawFleet({ isAsking: false, nodes: [], order: [], problem: 'Not known: this node does not answer.' });
    say(
      `no answer from the node: what is shown is old (${error instanceof Error ? error.message : error})`,
      'bad',
    );
  }
}

/** Asks the program that serves this page. */
async function ask(path: string): Promise<unknown> {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: 'no-store' });
  if (!response.ok) throw new Error(`the node answers ${response.status}`);
  return response.json();
}

function drawNode(data: PageData): void {
  const { status } = data;
  draw('node', JSON.stringify({ ...data, readAt: '' }), () => nodeView(data));
  document.title = `${status.ready ? 'ready' : 'not ready'}: ${status.state} – Latchkey node`;
}

function drawFleet(fleet: ShownFleet): void {
  // Where there are answers, it is not shown that the next ones are asked for.
  const shown = { ...fleet, isAsking: fleet.isAsking && fleet.askedAt === undefined };
  draw('fleet', JSON.stringify(shown), () => fleetView(shown));
}

/** Written only when it changes: a screen reader reads it out each time. */
function say(text: string, kind: string): void {
  const place = byId('connection');
  if (place.textContent === text) return;
  place.replaceChildren(el('span', { class: `badge ${kind}` }, text));
}

function show(): void {
  const now = viewNow();
  for (const view of views) {
    byId(`${view}-view`).hidden = view !== now;
    if (view === now) byId(`to-${view}`).setAttribute('aria-current', 'page');
    else byId(`to-${view}`).removeAttribute('aria-current');
  }
}

/** Ends the pause between two looks. */
let wake = (): void => undefined;

/** One look at a time: answers of two would be drawn in any order. */
async function follow(): Promise<void> {
  for (;;) {
    if (!document.hidden) await look();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

byId('quote-view').replaceChildren(quoteView());
addEventListener('hashchange', () => {
  show();
  wake();
});
document.addEventListener('visibilitychange', () => wake());
show();
void follow();
