import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The project's own compiler options, without output. */
function compilerOptions(): { readonly options: ts.CompilerOptions; readonly fileNames: readonly string[] } {
  const { config } = ts.readConfigFile(`${root}/tsconfig.json`, ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  return { options: { ...options, noEmit: true, incremental: false, composite: false }, fileNames };
}

/** The interface that declares the property an expression reads, such as `Uint8Array` for `bytes.slice`. */
function declaringInterfaces(
  checker: ts.TypeChecker,
  access: ts.PropertyAccessExpression,
): readonly string[] {
  const type = checker.getNonNullableType(checker.getTypeAtLocation(access.expression));
  const parts = type.isUnion() ? type.types : [type];
  return parts.flatMap((part) =>
    (checker.getPropertyOfType(part, access.name.text)?.declarations ?? []).map(({ parent }) =>
      ts.isInterfaceDeclaration(parent) ? parent.name.text : '',
    ),
  );
}

/** Places of `.slice` on bytes, called or not, as `file:line`. */
function slicesOfBytes(checker: ts.TypeChecker, files: readonly ts.SourceFile[]): readonly string[] {
  const found: string[] = [];
  const visit = (file: ts.SourceFile, node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'slice') {
      const interfaces = declaringInterfaces(checker, node);
      if (interfaces.some((name) => name === 'Uint8Array' || name === 'Buffer')) {
        const { line } = file.getLineAndCharacterOfPosition(node.name.getStart(file));
        found.push(`${relative(root, file.fileName)}:${line + 1}`);
      }
    }
    node.forEachChild((child) => visit(file, child));
  };
  for (const file of files) visit(file, file);
  return found;
}

describe('copies of bytes', () => {
  it('are made by copyBytes, not by slice: slice of a Buffer is a view', { timeout: 300_000 }, () => {
    const { options, fileNames } = compilerOptions();
    const inSrc = fileNames.filter((name) => name.startsWith(`${root}src/`));
    expect(inSrc.length).toBeGreaterThan(200);
    const samples = `${root}test/support/byte-copies-sample.ts`;
    const program = ts.createProgram([...inSrc, samples], options);
    const checker = program.getTypeChecker();
    const filesOf = (names: readonly string[]) =>
      names.map((name) => program.getSourceFile(name) ?? expect.fail(`${name} is not in the program`));
    // The walk finds every way of writing it, in a file that is there for this test only.
    expect(slicesOfBytes(checker, filesOf([samples])).map((place) => Number(place.split(':')[1]))).toEqual(
      sampleLines(filesOf([samples])),
    );
    expect(slicesOfBytes(checker, filesOf(inSrc))).toEqual([]);
  });
});

/** Lines of the sample that are marked as violations. */
function sampleLines(files: readonly ts.SourceFile[]): readonly number[] {
  const lines = files.flatMap((file) => file.text.split('\n'));
  return lines.flatMap((line, index) => (line.includes('// violation') ? [index + 1] : []));
}
