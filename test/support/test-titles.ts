import ts from 'typescript';

const testFunctions = new Set(['it', 'test', 'describe']);

/** The name at the beginning of `it`, `it.skipIf(…)`, `describe.each(…)`; `undefined` for other calls. */
function rootName(callee: ts.Expression): string | undefined {
  if (ts.isIdentifier(callee)) return callee.text;
  return ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)
    ? rootName(callee.expression)
    : undefined;
}

/** The literal texts of a title; a part that is computed is left out. */
function textOf(node: ts.Expression | undefined): string {
  if (node === undefined) return '';
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join(' ');
  return ts.isBinaryExpression(node) ? textOf(node.left) + textOf(node.right) : '';
}

/** The rows of `each(rows)` fill the places of a title, such as `%s` and `$row`. */
function rowsOf(callee: ts.Expression): ts.Expression | undefined {
  if (ts.isCallExpression(callee) && ts.isPropertyAccessExpression(callee.expression))
    return callee.expression.name.text === 'each' ? callee.arguments[0] : undefined;
  return undefined;
}

function textsBelow(node: ts.Node): readonly string[] {
  const found: string[] = [];
  const visit = (child: ts.Node): void => {
    // What a row does is no part of a title.
    if (ts.isFunctionLike(child)) return;
    if (ts.isStringLiteralLike(child)) found.push(child.text);
    child.forEachChild(visit);
  };
  visit(node);
  return found;
}

/** The titles of the tests and groups of a file, and the texts of table rows that become a part of one. */
export function testTitles(text: string): readonly string[] {
  const source = ts.createSourceFile('a.test.ts', text, ts.ScriptTarget.Latest, true);
  const tables = new Map<string, ts.Expression>();
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer !== undefined)
      tables.set(node.name.text, node.initializer);
    if (ts.isCallExpression(node) && testFunctions.has(rootName(node.expression) ?? '')) {
      const title = textOf(node.arguments[0]);
      const rows = rowsOf(node.expression);
      const table = rows !== undefined && ts.isIdentifier(rows) ? (tables.get(rows.text) ?? rows) : rows;
      titles.push(title);
      if (table !== undefined && /%[sjo]|\$\w/.test(title)) titles.push(...textsBelow(table));
    }
    node.forEachChild(visit);
  };
  visit(source);
  return titles;
}
