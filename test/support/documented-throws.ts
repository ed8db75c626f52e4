import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/** What an entry of the package exports, and which classes its documentation says that its functions throw. */
export interface EntryErrors {
  readonly exported: ReadonlySet<string>;
  /** By class: the exports whose comments name it. */
  readonly thrown: ReadonlyMap<string, readonly string[]>;
}

const parse = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);

/** The file of a relative import; `undefined` for another package. */
function fileOf(specifier: ts.Expression | undefined, importer: string): string | undefined {
  if (specifier === undefined || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.'))
    return undefined;
  const file = join(dirname(importer), specifier.text);
  return existsSync(file) ? file : undefined;
}

const isExported = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) &&
  ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;

const namesOf = (statement: ts.Statement): readonly string[] => {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  const { name } = statement as ts.Statement & { readonly name?: ts.Identifier };
  return name === undefined ? [] : [name.text];
};

/** The declarations that a file exports, by their names outside of it. */
function exportsOf(file: string): ReadonlyMap<string, ts.Node> {
  const found = new Map<string, ts.Node>();
  for (const statement of parse(file).statements) {
    if (isExported(statement)) for (const name of namesOf(statement)) found.set(name, statement);
    if (!ts.isExportDeclaration(statement)) continue;
    const from = fileOf(statement.moduleSpecifier, file);
    const others = from === undefined ? new Map<string, ts.Node>() : exportsOf(from);
    const { exportClause } = statement;
    if (exportClause === undefined) for (const [name, node] of others) found.set(name, node);
    else if (ts.isNamedExports(exportClause)) {
      for (const { name, propertyName } of exportClause.elements)
        found.set(name.text, others.get((propertyName ?? name).text) ?? statement);
    }
  }
  return found;
}

const isHidden = (node: ts.Node): boolean =>
  (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
  (ts.canHaveModifiers(node) &&
    ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true);

/** The texts of `@throws` at a declaration and at the members that its users reach. */
function throwsOf(node: ts.Node): readonly string[] {
  const own = ts.getJSDocTags(node).filter(({ tagName }) => tagName.text === 'throws');
  const texts = own.map((tag) => tag.getText());
  node.forEachChild((child) => {
    if (ts.isTypeElement(child) || (ts.isClassElement(child) && !isHidden(child)))
      texts.push(...throwsOf(child));
  });
  return texts;
}

/** @param classes the error classes of the program: another word of a comment is none. */
export function entryErrors(entry: string, classes: ReadonlySet<string>): EntryErrors {
  const exported = exportsOf(entry);
  const thrown = new Map<string, string[]>();
  for (const [name, node] of exported) {
    for (const text of throwsOf(node)) {
      for (const [word] of text.matchAll(/\b[A-Z][A-Za-z]+\b/g))
        if (classes.has(word)) thrown.set(word, [...(thrown.get(word) ?? []), name]);
    }
  }
  return { exported: new Set(exported.keys()), thrown };
}
