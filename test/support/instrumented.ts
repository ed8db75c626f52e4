import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** What instrumented code does, in the order in which it does it. */
export interface Observer {
  /** An element was looked up, by brackets or a method. `name` is the source text of what it was looked up in. */
  access(site: number, name: string, key: unknown): void;
  /** A condition was decided, or a part of the program was entered that is not always entered. */
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
  /** Changes the source of the module `entry`: for programs that leak. */
  readonly edit?: (source: string) => string;
}

/** Names that instrumented code calls; no module uses them. */
const KEY = '__key';
const BRANCH = '__branch';
const NULLISH = '__nullish';
const NUMBER = '__number';
const OPERATE = '__operate';

/** Methods that look up their first argument, or search for it. */
const lookups = new Set([
  'at',
  'charAt',
  'charCodeAt',
  'codePointAt',
  'get',
  'has',
  'includes',
  'indexOf',
  'lastIndexOf',
]);

/** Operators that decide whether something is assigned, which this program does not rewrite. */
const unseen = new Set(['&&=', '||=', '??=']);

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
 * rewritten in memory. Not seen: what happens inside functions of the engine, and which of two functions is called.
 * @returns the exports of the module with the name `entry`.
 * @throws SyntaxError for syntax that it would not see.
 */
export function loadInstrumented<Exports>(
  { modules, given, edit = (source) => source }: InstrumentedProgram,
  entry: string,
  observer: Observer,
): Exports {
  const loaded = new Map<string, object>(Object.entries(given));
  const helpers = {
    [KEY]: (site: number, name: string, key: unknown) => {
      observer.access(site, name, key);
      return key;
    },
    [BRANCH]: (site: number, condition: unknown) => {
      observer.branch(site, Boolean(condition));
      return condition;
    },
    [NULLISH]: (site: number, value: unknown) => {
      observer.branch(site, value === undefined || value === null);
      return value;
    },
    [NUMBER]: (site: number, value: unknown) => {
      observer.operation(site, isSmall(value));
      return value;
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
    const source = readFileSync(path, 'utf8');
    const { outputText } = ts.transpileModule(name === 'entry' ? edit(source) : source, {
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
    const statement = (node: ts.Statement) => ts.visitNode(node, visit, ts.isStatement);
    const key = (holder: ts.Node, node: ts.Expression) => call(KEY, text(holder), expression(node));
    /** A statement that says that the part of the program after it was entered. */
    const entered = () => factory.createExpressionStatement(branch(factory.createTrue()));
    const body = (node: ts.Statement) => factory.createBlock([entered(), statement(node)]);
    /** What is before `?.` or `.`. */
    const before = (node: ts.Expression, questionDot: ts.QuestionDotToken | undefined) =>
      questionDot === undefined ? expression(node) : call(NULLISH, expression(node));
    const refuse = (node: ts.Node): never => {
      throw new SyntaxError(`the instruments do not see ${node.getText(file)}`);
    };

    const visitBinary = (node: ts.BinaryExpression): ts.Expression => {
      const { left, operatorToken, right } = node;
      const sign = operatorToken.getText(file);
      if (unseen.has(sign)) return refuse(node);
      const operate = (operator: string) =>
        call(OPERATE, factory.createStringLiteral(operator), expression(left), expression(right));
      if (sign in operators) return operate(sign);
      if (sign.endsWith('=') && sign.slice(0, -1) in operators)
        return factory.createAssignment(expression(left), operate(sign.slice(0, -1)));
      const update = (first: ts.Expression) =>
        factory.updateBinaryExpression(node, first, operatorToken, expression(right));
      if (sign === '&&' || sign === '||') return update(branch(expression(left)));
      if (sign === '??') return update(call(NULLISH, expression(left)));
      if (sign === 'in') return update(key(right, left));
      return ts.visitEachChild(node, visit, context);
    };

    const visitCall = (node: ts.CallExpression): ts.Expression => {
      const { expression: called, arguments: args } = node;
      if (node.questionDotToken !== undefined) return refuse(node);
      const [first, ...others] = args;
      const looksUp = ts.isPropertyAccessExpression(called) && lookups.has(called.name.text);
      if (!looksUp || first === undefined) return ts.visitEachChild(node, visit, context);
      const passed = [key(called.expression, first), ...others.map(expression)];
      return ts.isCallChain(node)
        ? factory.updateCallChain(node, expression(called), undefined, undefined, passed)
        : factory.updateCallExpression(node, expression(called), undefined, passed);
    };

    const visitAccess = (node: ts.ElementAccessExpression): ts.Expression => {
      const { expression: array, questionDotToken, argumentExpression } = node;
      const index = key(array, argumentExpression);
      return ts.isElementAccessChain(node)
        ? factory.updateElementAccessChain(node, before(array, questionDotToken), questionDotToken, index)
        : factory.updateElementAccessExpression(node, expression(array), index);
    };

    const visitClause = (node: ts.CaseOrDefaultClause): ts.Node => {
      const statements = [entered(), ...node.statements.map(statement)];
      return ts.isCaseClause(node)
        ? factory.updateCaseClause(node, expression(node.expression), statements)
        : factory.updateDefaultClause(node, statements);
    };

    const visitBranch = (node: ts.Node): ts.Node | undefined => {
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
          statement(node.thenStatement),
          node.elseStatement && statement(node.elseStatement),
        );
      if (ts.isPropertyAccessChain(node))
        return factory.updatePropertyAccessChain(
          node,
          before(node.expression, node.questionDotToken),
          node.questionDotToken,
          node.name,
        );
      if (ts.isCaseOrDefaultClause(node)) return visitClause(node);
      if (ts.isCatchClause(node))
        return factory.updateCatchClause(
          node,
          node.variableDeclaration,
          factory.createBlock([entered(), ...node.block.statements.map(statement)]),
        );
      return undefined;
    };

    const visitLoop = (node: ts.Node): ts.Node | undefined => {
      if (ts.isForStatement(node))
        return factory.updateForStatement(
          node,
          ts.visitNode(node.initializer, visit, ts.isForInitializer),
          node.condition && branch(expression(node.condition)),
          node.incrementor && expression(node.incrementor),
          statement(node.statement),
        );
      if (ts.isForOfStatement(node))
        return factory.updateForOfStatement(
          node,
          node.awaitModifier,
          node.initializer,
          expression(node.expression),
          body(node.statement),
        );
      if (ts.isWhileStatement(node))
        return factory.updateWhileStatement(
          node,
          branch(expression(node.expression)),
          statement(node.statement),
        );
      if (ts.isDoStatement(node))
        return factory.updateDoStatement(
          node,
          statement(node.statement),
          branch(expression(node.expression)),
        );
      return undefined;
    };

    const visit = (node: ts.Node): ts.Node => {
      if (ts.isTypeNode(node)) return node;
      if (ts.isForInStatement(node)) return refuse(node);
      if (ts.isBinaryExpression(node)) return visitBinary(node);
      if (ts.isCallExpression(node)) return visitCall(node);
      if (ts.isElementAccessExpression(node)) return visitAccess(node);
      if (ts.isPrefixUnaryExpression(node) && node.operator !== ts.SyntaxKind.ExclamationToken)
        return call(NUMBER, ts.visitEachChild(node, visit, context));
      return visitBranch(node) ?? visitLoop(node) ?? ts.visitEachChild(node, visit, context);
    };
    return ts.visitEachChild(file, visit, context);
  };
}
