import ts from 'typescript';

/** Comparisons whose time depends on where the bytes differ, by the name of the function or method. */
const EARLY_ENDING = new Set(['equalBytes', 'compareBytes', 'compare']);
/** Functions that give out the bytes of an argument, and methods that give out those of their object. */
const PASSING = new Set(['copyBytes', 'concatBytes', 'of', 'subarray']);
/** Where every MAC and every derived key comes from: `crypto/hkdf.ts`. */
const HMAC = 'hmacSha256';
/** A name that says that it is a MAC: `mac`, `headerMac`, `MAC_AT`, `keyCheck`. */
const NAMED_MAC = /^mac$|^macs?[A-Z_]|[a-z]Macs?$|^MAC_|_MAC$|^keyCheck$/;

/** A file of the project, as the walk below reads it. */
export interface SourceText {
  readonly name: string;
  readonly text: string;
}

/** What a name means, and where. */
interface Meaning {
  /** The body of a function or method, or the value of a constant. */
  readonly value: ts.Node;
  /** The block, class or file in which the name has this meaning. */
  readonly scope: ts.Node;
}

const nameOf = (node: ts.Node): string =>
  ts.isIdentifier(node) || ts.isPrivateIdentifier(node) ? node.text : '';

/** The name of what a call calls: `equalBytes(a, b)` and `Buffer.compare(a, b)`. */
function calleeOf({ expression }: ts.CallExpression): string {
  return ts.isPropertyAccessExpression(expression) ? nameOf(expression.name) : nameOf(expression);
}

const isScope = (node: ts.Node): boolean =>
  ts.isBlock(node) || ts.isSourceFile(node) || ts.isFunctionLike(node) || ts.isClassLike(node);

/** What names mean in a file. */
function meaningsIn(file: ts.SourceFile): ReadonlyMap<string, readonly Meaning[]> {
  const found = new Map<string, Meaning[]>();
  const note = (name: ts.Node, value: ts.Node | undefined): void => {
    if (value === undefined) return;
    const scope = ts.findAncestor(name.parent.parent, isScope) ?? file;
    found.set(nameOf(name), [...(found.get(nameOf(name)) ?? []), { value, scope }]);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionDeclaration(node) && node.name !== undefined) note(node.name, node.body);
    if (ts.isMethodDeclaration(node)) note(node.name, node.body);
    if (ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node)) {
      const { initializer: value } = node;
      note(node.name, value !== undefined && ts.isArrowFunction(value) ? value.body : value);
    }
    node.forEachChild(visit);
  };
  visit(file);
  return found;
}

/** The expressions that a body returns, without those of functions inside it; a concise body is one itself. */
function returnsOf(body: ts.Node): readonly ts.Node[] {
  if (!ts.isBlock(body)) return [body];
  const found: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node)) return;
    if (ts.isReturnStatement(node) && node.expression !== undefined) found.push(node.expression);
    node.forEachChild(visit);
  };
  body.forEachChild(visit);
  return found;
}

/** Whether the bytes of an expression are those of a MAC, as far as its file and the names of other files show. */
class MacBytes {
  readonly #meanings: ReadonlyMap<string, readonly Meaning[]>;
  readonly #makers: ReadonlySet<string>;
  readonly #asked = new Set<ts.Node>();

  constructor(file: ts.SourceFile, makers: ReadonlySet<string>) {
    this.#meanings = meaningsIn(file);
    this.#makers = makers;
  }

  holds(node: ts.Node): boolean {
    if (this.#asked.has(node)) return false;
    this.#asked.add(node);
    try {
      return this.#holds(node);
    } finally {
      this.#asked.delete(node);
    }
  }

  #holds(node: ts.Node): boolean {
    if (ts.isCallExpression(node)) return this.#isMadeBy(node);
    if (ts.isIdentifier(node)) return NAMED_MAC.test(node.text) || this.#means(node.text, node);
    if (ts.isPropertyAccessExpression(node)) return NAMED_MAC.test(nameOf(node.name));
    if (ts.isConditionalExpression(node)) return this.holds(node.whenTrue) || this.holds(node.whenFalse);
    if (ts.isBinaryExpression(node)) return this.holds(node.left) || this.holds(node.right);
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return this.holds(node.expression);
    return ts.isAwaitExpression(node) && this.holds(node.expression);
  }

  #isMadeBy(call: ts.CallExpression): boolean {
    const name = calleeOf(call);
    if (PASSING.has(name)) {
      const { expression } = call;
      const owner = ts.isPropertyAccessExpression(expression) ? [expression.expression] : [];
      return [...owner, ...call.arguments].some((part) => this.holds(part));
    }
    return this.#makers.has(name) || this.#means(name, call);
  }

  /** Whether a name means a constant with such a value, or a function that returns one, at a place of the file. */
  #means(name: string, place: ts.Node): boolean {
    const meanings = this.#meanings.get(name) ?? [];
    return meanings.some(
      ({ value, scope }) =>
        ts.findAncestor(place, (node) => node === scope) !== undefined &&
        returnsOf(value).some((returned) => this.holds(returned)),
    );
  }

  /** Names of the file whose value, or what they return, are such bytes. */
  makers(file: ts.SourceFile): readonly string[] {
    return [...this.#meanings.keys()].filter((name) => name !== '' && this.#means(name, file));
  }
}

const exportedNames = (file: ts.SourceFile): ReadonlySet<string> =>
  new Set(
    [...file.text.matchAll(/^export (?:async )?(?:function|const) (\w+)/gm)].map(([, name = '']) => name),
  );

/** Functions that return the bytes of a MAC, of all files: those that call one of them are found in the next turn. */
function makersIn(files: readonly ts.SourceFile[]): ReadonlySet<string> {
  const makers = new Set([HMAC]);
  for (let before = 0; before < makers.size; ) {
    before = makers.size;
    for (const file of files) {
      const exported = exportedNames(file);
      for (const name of new MacBytes(file, makers).makers(file)) if (exported.has(name)) makers.add(name);
    }
  }
  return makers;
}

/** Places where a MAC is compared in a time that depends on where the bytes differ, as `name:line`. */
export function hastyMacComparisons(texts: readonly SourceText[]): readonly string[] {
  const files = texts.map(({ name, text }) => ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  const makers = makersIn(files);
  return files.flatMap((file) => {
    const bytes = new MacBytes(file, makers);
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node) && EARLY_ENDING.has(calleeOf(node))) {
        const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
        if (node.arguments.some((part) => bytes.holds(part))) found.push(`${file.fileName}:${line + 1}`);
      }
      node.forEachChild(visit);
    };
    visit(file);
    return found;
  });
}
