import { escapeControls } from '../bytes/escape-controls.ts';

/** Longest text that is shown; texts of peers have no bound of their own. */
const MAX_TEXT = 400;

/** What an element may contain. Text becomes a text node, and never markup. */
export type Content = Node | string | number | readonly Content[] | undefined;

/** A text of any origin for display: cut, and with control characters made visible. */
export function shown(text: string): string {
  const cut = escapeControls(text.slice(0, MAX_TEXT));
  return text.length > MAX_TEXT ? `${cut}… (${text.length} characters)` : cut;
}

function append(parent: Element, content: Content): void {
  if (content === undefined) return;
  if (content instanceof Node) parent.append(content);
  else if (typeof content === 'object') for (const part of content) append(parent, part);
  else parent.append(document.createTextNode(shown(`${content}`)));
}

/** Makes an element of HTML. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>> = {},
  ...content: readonly Content[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  append(element, content);
  return element;
}

/** Makes an element of SVG. */
export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...content: readonly Content[]
): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  append(element, content);
  return element;
}

let sections = 0;

/** A section with a heading that names it. */
export function section(title: string, ...content: readonly Content[]): HTMLElement {
  const id = `section-${++sections}`;
  return el('section', { 'aria-labelledby': id }, el('h2', { id }, title), ...content);
}

/** Names and values; an absent value is left out. */
export function facts(rows: readonly (readonly [string, Content])[]): HTMLElement {
  return el(
    'dl',
    {},
    ...rows
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );
}

/** A list, or a sentence where there is nothing. */
export function list(items: readonly Content[], nothing: string): HTMLElement {
  return items.length === 0
    ? el('p', { class: 'quiet' }, nothing)
    : el('ul', {}, ...items.map((item) => el('li', {}, item)));
}

/** An account or another long name: in full, and breakable. */
export const code = (text: string): HTMLElement => el('code', {}, text);

/** A table that is scrolled by itself; on a narrow screen each row is a block. */
export function table(
  caption: string,
  heads: readonly string[],
  rows: readonly (readonly Content[])[],
): HTMLElement {
  return el(
    'div',
    { class: 'table', tabindex: '0', role: 'group', 'aria-label': caption },
    el(
      'table',
      { role: 'table' },
      el(
        'thead',
        { role: 'rowgroup' },
        el(
          'tr',
          { role: 'row' },
          ...heads.map((head) => el('th', { role: 'columnheader', scope: 'col' }, head)),
        ),
      ),
      // The roles stay where a narrow screen shows each row as a block.
      el(
        'tbody',
        { role: 'rowgroup' },
        ...rows.map((row) =>
          el(
            'tr',
            { role: 'row' },
            ...row.map((cell, index) => el('td', { role: 'cell', 'data-head': heads[index] ?? '' }, cell)),
          ),
        ),
      ),
    ),
  );
}
