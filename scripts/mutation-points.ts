import ts from 'typescript';

/** One change of a source text that its tests should notice. */
export interface Mutation {
  /** Half-open range of the source text that is replaced. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Counted from 1. */
  readonly line: number;
  /** The replaced text in one line, for people. */
  readonly original: string;
}

/** Calls that only check something: without such a statement the check is gone. */
const checkingCall = /^(require|judge|check|assert|verify|refuse|ensure|limit)/;
/** Calls that compare: `true` takes the comparison away. */
const comparingCall = /^(equalBytes|equalConstantTime)$/;

/** The other side of the boundary. */
const boundaries: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
]);

/**
 * Every mutation of a source file: conditions of `if` and `?:` always true and always false, each operand of `&&` and
 * `||` alone, boundaries of comparisons moved by one, byte comparisons always true, and statements that check removed.
 */
export function mutationsOf(fileName: string, text: string): readonly Mutation[] {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2023, true);
  const found: Mutation[] = [];
  const add = (node: ts.Node, replacement: string): void => {
    const start = node.getStart(source);
    const { line } = source.getLineAndCharacterOfPosition(start);
    const original = node.getText(source).replace(/\s+/g, ' ');
    found.push({ start, end: node.end, replacement, line: line + 1, original });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) addConstants(node.expression);
    if (ts.isConditionalExpression(node)) addConstants(node.condition);
    if (ts.isBinaryExpression(node)) addBinary(node);
    if (ts.isCallExpression(node) && comparingCall.test(nameOf(node))) add(node, 'true');
    if (ts.isExpressionStatement(node) && isCheck(node.expression)) add(node, ';');
    ts.forEachChild(node, visit);
  };
  const addConstants = (condition: ts.Expression): void => {
    add(condition, 'true');
    add(condition, 'false');
  };
  const addBinary = (node: ts.BinaryExpression): void => {
    const { kind } = node.operatorToken;
    if (kind === ts.SyntaxKind.AmpersandAmpersandToken || kind === ts.SyntaxKind.BarBarToken) {
      for (const operand of [node.left, node.right]) add(node, `(${operand.getText(source)})`);
    }
    const other = boundaries.get(kind);
    if (other !== undefined) {
      add(node, `(${node.left.getText(source)} ${other} ${node.right.getText(source)})`);
    }
  };
  visit(source);
  return found.sort((a, b) => a.start - b.start);
}

function isCheck(expression: ts.Expression): boolean {
  const call = ts.isAwaitExpression(expression) ? expression.expression : expression;
  return ts.isCallExpression(call) && checkingCall.test(nameOf(call));
}

/** The called name without its object and without `#`. */
function nameOf({ expression }: ts.CallExpression): string {
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? expression.name.text.replace(/^#/, '') : '';
}

/** The source text with one mutation. */
export const mutate = (text: string, { start, end, replacement }: Mutation): string =>
  text.slice(0, start) + replacement + text.slice(end);
