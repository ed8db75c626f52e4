import { mkdirSync, mkdtempSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const child = fileURLToPath(new URL('crash-child.ts', import.meta.url));

/**
 * Compiles the child once: a process that starts from TypeScript spends ten times as long on starting as on being
 * killed. Lies below the project, so that it finds the project's dependencies.
 * @returns the folder, to be removed, and the program in it.
 */
export function compileChild(): { readonly folder: string; readonly program: string } {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(root, 'dist', 'crash-'));
  const program = ts.createProgram([child], {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    rewriteRelativeImportExtensions: true,
    verbatimModuleSyntax: true,
    rootDir: root,
    outDir: folder,
    skipLibCheck: true,
    noCheck: true,
    types: [],
    noLib: true,
  });
  const { emitSkipped } = program.emit();
  if (emitSkipped) throw new Error('the child was not compiled');
  return { folder, program: join(folder, relative(root, child)).replace(/\.ts$/, '.js') };
}
