import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** What instrumented code does, in the order in which it does it. */
export interface Observer {
  /** An element of an array was read or written. `name` is the source text of the array. */
  access(site: number, name: string, array: ArrayLike<unknown>, index: number): void;
  /** A condition was decided. */
  branch(site: number, taken: boolean): void;
  /** An operator gave a number; `isSmall` is false where V8 may allocate memory to hold it. */
  operation(site: number, isSmall: boolean): void;
}

/** How to find and run the modules of an instrumented program. */
export interface InstrumentedProgram {
  /** Absolute paths of the modules by the names under which they import each other. */
  readonly modules: Readonly<Record<string, string>>;
  /** Modules that are not instrumented, by the same names. */
  readonly given: Readonly<Record<string, object>>;
}

/** Names that instrumented code calls; no module uses them. */
const READ = '__read';
const WRITE = '__write';
const BRANCH = '__branch';
const OPERATE = '__operate';

const operators: Readonly<Record<string, (a: number, b: number) => number | boolean>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': (a, b) => a ^ b,
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
  '>>>': (a, b) => a >>> b,
};

/** The largest integers that V8 holds without allocating, on every platform. */
const SMALL_LIMIT = 2 ** 30;
const isSmall = (value: unknown): boolean =>
  typeof value !== 'number' ||
  (Number.isInteger(value) && Math.abs(value) < SMALL_LIMIT && !Object.is(value, -0));

/**
 * Loads modules so that an observer sees every element access, every branch and the size of every number. The source is
 * rewritten in memory.
 * @returns the exports of the module with the name `entry`.
 */
export function loadInstrumented<Exports>(
  { modules, given }: InstrumentedProgram,
  entry: string,
  observer: Observer,
): Exports {
  const loaded = new Map<string, object>(Object.entries(given));
  const helpers = {
    [READ]: (site: number, name: string, array: ArrayLike<unknown>, index: number) => {
      observer.access(site, name, array, index);
      return array[index];
    },
    [WRITE]: (site: number, name: string, array: unknown[], index: number, value: unknown) => {
      observer.access(site, name, array, index);
      array[index] = value;
      return value;
    },
    [BRANCH]: (site: number, condition: unknown) => {
      observer.branch(site, Boolean(condition));
      return condition;
    },
    [OPERATE]: (site: number, operator: string, a: number, b: number) => {
      const value = operators[operator]?.(a, b);
      observer.operation(site, isSmall(value));
      return value;
    },
  };
  let site = 0;
  const load = (name: string): object => {
    const known = loaded.get(name);
    if (known !== undefined) return known;
    const path = modules[name];
    if (path === undefined) throw new RangeError(`the program has no module ${name}`);
    const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
      transformers: { before: [observed(() => ++site)] },
    });
    const exports = {};
    loaded.set(name, exports);
    new Function('exports', 'require', ...Object.keys(helpers), outputText)(
      exports,
      load,
      ...Object.values(helpers),
    );
    return exports;
  };
  // The caller names the type of the module that it asks for.
  return load(entry) as Exports;
}

function observed(nextSite: () => number): ts.TransformerFactory<ts.SourceFile> {
  return (context) => (file) => {
    const { factory } = context;
    const call = (name: string, ...args: ts.Expression[]) =>
      factory.createCallExpression(factory.createIdentifier(name), undefined, [
        factory.createNumericLiteral(nextSite()),
        ...args,
      ]);
    const branch = (condition: ts.Expression) => call(BRANCH, condition);
    const text = (node: ts.Node) => factory.createStringLiteral(node.getText(file));
    const expression = (node: ts.Expression) => ts.visitNode(node, visit, ts.isExpression);

    /** `operator` of a compound assignment, such as `^` of `^=`. */
    const compound = (node: ts.BinaryExpression) => {
      const sign = node.operatorToken.getText(file);
      return sign.endsWith('=') ? sign.slice(0, -1) : undefined;
    };

    const visitBinary = (node: ts.BinaryExpression): ts.Expression => {
      const sign = node.operatorToken.getText(file);
      if (sign in operators)
        return call(
          OPERATE,
          factory.createStringLiteral(sign),
          expression(node.left),
          expression(node.right),
        );
      if (sign === '&&' || sign === '||')
        return factory.updateBinaryExpression(
          node,
          branch(expression(node.left)),
          node.operatorToken,
          expression(node.right),
        );
      const operator = compound(node);
      const isAssignment = sign === '=' || (operator !== undefined && operator in operators);
      if (!isAssignment) return ts.visitEachChild(node, visit, context);
      const value =
        sign === '='
          ? expression(node.right)
          : call(
              OPERATE,
              factory.createStringLiteral(operator ?? ''),
              expression(node.left),
              expression(node.right),
            );
      if (ts.isElementAccessExpression(node.left)) {
        const { expression: array, argumentExpression } = node.left;
        return call(WRITE, text(array), expression(array), expression(argumentExpression), value);
      }
      return factory.createAssignment(node.left, value);
    };

    const visit = (node: ts.Node): ts.Node => {
      if (ts.isBinaryExpression(node)) return visitBinary(node);
      if (ts.isElementAccessExpression(node))
        return call(
          READ,
          text(node.expression),
          expression(node.expression),
          expression(node.argumentExpression),
        );
      if (ts.isConditionalExpression(node))
        return factory.createConditionalExpression(
          branch(expression(node.condition)),
          undefined,
          expression(node.whenTrue),
          undefined,
          expression(node.whenFalse),
        );
      if (ts.isIfStatement(node))
        return factory.updateIfStatement(
          node,
          branch(expression(node.expression)),
          ts.visitNode(node.thenStatement, visit, ts.isStatement),
          ts.visitNode(node.elseStatement, visit, ts.isStatement),
        );
      if (ts.isForStatement(node))
        return factory.updateForStatement(
          node,
          ts.visitNode(node.initializer, visit, ts.isForInitializer),
          node.condition && branch(expression(node.condition)),
          node.incrementor && expression(node.incrementor),
          ts.visitNode(node.statement, visit, ts.isStatement),
        );
      if (ts.isWhileStatement(node))
        return factory.updateWhileStatement(
          node,
          branch(expression(node.expression)),
          ts.visitNode(node.statement, visit, ts.isStatement),
        );
      return ts.visitEachChild(node, visit, context);
    };
    return ts.visitEachChild(file, visit, context);
  };
}
