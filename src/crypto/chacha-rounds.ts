/**
 * The rounds of ChaCha20 (RFC 8439 section 2.1) as a WebAssembly module that is put together here, instruction by
 * instruction. A context of OpenSSL costs some 3 µs to make, and a short record needs two of them; this costs a tenth.
 *
 * Words of a key are 32-bit integers of WebAssembly: they are in registers and in the module's own memory and never
 * JavaScript numbers, which V8 would box above 2^31. The code has no table, no address and no branch that depends on data.
 */

const WORD_BYTES = 4;
const STATE_WORDS = 16;
/** Bytes of a state and of a block of the key stream. */
export const CHACHA_BLOCK_BYTES = STATE_WORDS * WORD_BYTES;
/** Where the initial state lies in the module's memory, and where the result. */
export const STATE_AT = 0;
export const RESULT_AT = CHACHA_BLOCK_BYTES;

/** Codes of the WebAssembly core specification, version 1, section 5.4. */
const code = {
  loop: 0x03,
  end: 0x0b,
  branchIf: 0x0d,
  get: 0x20,
  set: 0x21,
  tee: 0x22,
  load: 0x28,
  store: 0x36,
  constant: 0x41,
  add: 0x6a,
  subtract: 0x6b,
  and: 0x71,
  xor: 0x73,
  rotateLeft: 0x77,
} as const;
const I32 = 0x7f;
const NO_RESULT = 0x40;
/** Exponent of the alignment of a word. */
const WORD_ALIGNED = 2;

/** Local variables: the parameter (a mask), the 16 words of the state, and the double rounds that are left. */
const MASK = 0;
const wordLocal = (word: number): number => 1 + word;
const LEFT = 1 + STATE_WORDS;
const DOUBLE_ROUNDS = 10;

/** Each a column round or a diagonal round of four quarter rounds (section 2.3). */
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

/** `sum += added; mixed = rotateLeft(mixed ^ sum, bits)`: a quarter of a quarter round. */
const mix = (sum: number, added: number, mixed: number, bits: number): readonly number[] => [
  ...[code.get, mixed, code.get, sum, code.get, added, code.add, code.tee, sum, code.xor],
  ...[code.constant, bits, code.rotateLeft, code.set, mixed],
];

const quarterRound = ([a, b, c, d]: readonly [number, number, number, number]): readonly number[] => [
  ...mix(wordLocal(a), wordLocal(b), wordLocal(d), 16),
  ...mix(wordLocal(c), wordLocal(d), wordLocal(b), 12),
  ...mix(wordLocal(a), wordLocal(b), wordLocal(d), 8),
  ...mix(wordLocal(c), wordLocal(d), wordLocal(b), 7),
];

const words = Array.from({ length: STATE_WORDS }, (_, word) => word);

/** An unsigned number in LEB128. */
function leb(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}

const loadWord = (word: number): readonly number[] => [
  ...[code.constant, 0, code.load, WORD_ALIGNED, ...leb(STATE_AT + word * WORD_BYTES)],
];

/** Loads the state, runs 20 rounds, and stores each word plus (initial word & mask). */
const body = (): readonly number[] => [
  ...words.flatMap((word) => [...loadWord(word), code.set, wordLocal(word)]),
  ...[code.constant, DOUBLE_ROUNDS, code.set, LEFT],
  ...[code.loop, NO_RESULT],
  ...QUARTERS.flatMap(quarterRound),
  ...[code.get, LEFT, code.constant, 1, code.subtract, code.tee, LEFT, code.branchIf, 0],
  code.end,
  ...words.flatMap((word) => [
    ...[code.constant, 0, code.get, wordLocal(word), ...loadWord(word), code.get, MASK, code.and, code.add],
    ...[code.store, WORD_ALIGNED, ...leb(RESULT_AT + word * WORD_BYTES)],
  ]),
  code.end,
];

const sized = (bytes: readonly number[]): readonly number[] => [...leb(bytes.length), ...bytes];
const named = (name: string): readonly number[] => sized([...name].map((letter) => letter.charCodeAt(0)));

/** The sections of the module: type, function, memory of one page, exports, code (section 5.5). */
function moduleBytes(): Uint8Array {
  const locals = [1, ...leb(STATE_WORDS + 1), I32];
  const sections = [
    [1, [1, 0x60, 1, I32, 0]],
    [3, [1, 0]],
    [5, [1, 1, 1, 1]],
    [7, [2, ...named('memory'), 2, 0, ...named('rounds'), 0, 0]],
    [10, [1, ...sized([...locals, ...body()])]],
  ] as const;
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...sections.flatMap(([id, content]) => [id, ...sized(content)]),
  );
}

/** The part of the WebAssembly interface that is used; the types of Node 20 have none. */
interface WebAssemblyPart {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly rounds: (mask: number) => void;
    };
  };
}

/** The rounds and the memory that they work on. */
export interface ChaChaRounds {
  /** State from {@link STATE_AT}, result from {@link RESULT_AT}; the rest is free. */
  readonly memory: Uint8Array;
  /** Runs 20 rounds on the state. `mask` −1 adds the initial state, as a block of ChaCha20 does; 0 does not. */
  readonly rounds: (mask: -1 | 0) => void;
}

let made: ChaChaRounds | undefined;
let isTried = false;

/**
 * The rounds, of which there is one instance in a process; callers leave no secret in its memory.
 * @returns `undefined` where the engine has no WebAssembly (`--jitless`) or no room for its memory.
 */
export function chachaRounds(): ChaChaRounds | undefined {
  if (isTried) return made;
  isTried = true;
  // A global of the engine, of which Node's types know nothing.
  const { WebAssembly: engine } = globalThis as { readonly WebAssembly?: WebAssemblyPart };
  if (engine === undefined) return undefined;
  try {
    const { exports } = new engine.Instance(new engine.Module(moduleBytes()));
    made = { memory: new Uint8Array(exports.memory.buffer), rounds: exports.rounds };
  } catch {
    // No room for its memory: OpenSSL does the same, more slowly.
  }
  return made;
}
