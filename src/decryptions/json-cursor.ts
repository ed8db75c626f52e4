import { EvidenceError } from '../errors/latchkey-error.ts';

/** A number as it was written: JSON.parse would round integers above 2^53. */
export interface NumberToken {
  readonly text: string;
  /** Whether it is written without fraction and exponent. */
  readonly integer: boolean;
}

const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LONE_SURROGATE = /\p{Surrogate}/u;
const literals: Readonly<Record<string, string>> = { n: 'null', t: 'true', f: 'false' };

/**
 * Reads JSON (RFC 8259) value by value, in the order and with the distinction of the original service: text that is
 * not JSON is BODY_NOT_JSON (400), JSON of another shape is DECRYPTION_BODY_SHAPE (422); the first fault counts.
 */
export class JsonCursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next character that is not white space, without consuming it; empty at the end. */
  peek(): string {
    for (;;) {
      const character = this.#text.charAt(this.#at);
      if (character !== ' ' && character !== '\n' && character !== '\t' && character !== '\r')
        return character;
      this.#at += 1;
    }
  }

  /** Consumes the next character if it is this one. */
  take(character: string): boolean {
    if (this.peek() !== character || character === '') return false;
    this.#at += 1;
    return true;
  }

  /** @throws EvidenceError BODY_NOT_JSON unless the next character is this one. */
  expect(character: string): void {
    if (!this.take(character)) throw this.notJson(`${character} expected`);
  }

  /** @throws EvidenceError BODY_NOT_JSON unless nothing but white space is left. */
  end(): void {
    if (this.peek() !== '') throw this.notJson('nothing may follow the value');
  }

  /** A string, unescaped. @throws EvidenceError BODY_NOT_JSON, also for escapes of half a surrogate pair. */
  string(): string {
    const raw = this.#rawString();
    if (!raw.includes('\\')) return raw.slice(1, -1);
    const value: unknown = JSON.parse(raw);
    if (typeof value !== 'string' || LONE_SURROGATE.test(value)) {
      throw this.notJson('an escape stands for half a character');
    }
    return value;
  }

  /** A number as written. @throws EvidenceError BODY_NOT_JSON */
  number(): NumberToken {
    const token = this.#rawNumber();
    if (!Number.isFinite(Number(token.text))) throw this.notJson('the number is out of range');
    return token;
  }

  /** Skips one value of any shape and depth, without recursion. @throws EvidenceError BODY_NOT_JSON */
  skip(): void {
    const open: string[] = [];
    for (;;) {
      const opened = this.#skipOne(open);
      if (opened) continue;
      while (open.length > 0 && this.take(open.at(-1) ?? '')) open.pop();
      const innermost = open.at(-1);
      if (innermost === undefined) return;
      this.expect(',');
      if (innermost === '}') this.#skipName();
    }
  }

  /** Reads a scalar where another type is expected, so that broken JSON is reported as broken JSON. */
  wrongType(field: string, expected: string): EvidenceError {
    const character = this.peek();
    if (character !== '[' && character !== '{') this.#scalar(character);
    return this.shape(field, expected, kindOf(character));
  }

  /** The error for JSON of another shape. */
  shape(field: string, expected: string, observed: string): EvidenceError {
    const message = `${field}: ${expected} expected, got ${observed}`;
    return new EvidenceError('DECRYPTION_BODY_SHAPE', message, { field, expected, observed });
  }

  /** The error for text that is not JSON. */
  notJson(why: string): EvidenceError {
    return new EvidenceError('BODY_NOT_JSON', `the body is not JSON: ${why}, at character ${this.#at}`);
  }

  /** Skips a scalar, or opens an array or object that has members (then the closing character is pushed). */
  #skipOne(open: string[]): boolean {
    const character = this.peek();
    if (character !== '[' && character !== '{') {
      // A skipped value is never decoded, so a number may be out of range and an escape may be half a character.
      if (character === '-' || isDigit(character)) this.#rawNumber();
      else if (character === '"') this.#rawString();
      else this.#literal(character);
      return false;
    }
    this.#at += 1;
    const close = character === '[' ? ']' : '}';
    if (this.take(close)) return false;
    open.push(close);
    if (close === '}') this.#skipName();
    return true;
  }

  #skipName(): void {
    if (this.peek() !== '"') throw this.notJson('a member name expected');
    this.#rawString();
    this.expect(':');
  }

  #scalar(character: string): void {
    if (character === '"') this.string();
    else if (character === '-' || isDigit(character)) this.number();
    else this.#literal(character);
  }

  #literal(character: string): void {
    const word = literals[character];
    if (word === undefined || !this.#text.startsWith(word, this.#at)) throw this.notJson('a value expected');
    this.#at += word.length;
  }

  #rawNumber(): NumberToken {
    this.peek();
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw this.notJson('a number expected');
    this.#at += match[0].length;
    const integer = match[2] === undefined && match[3] === undefined;
    const next = this.#text.charAt(this.#at);
    // `042`, `42.` and `1e` end the match early; they are no numbers.
    const cutShort = integer ? /[0-9.eE]/.test(next) : match[3] === undefined && /[eE]/.test(next);
    if (cutShort) throw this.notJson('the number is malformed');
    return { text: match[0], integer };
  }

  #rawString(): string {
    this.peek();
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit === 0x22) break;
      if (Number.isNaN(unit)) throw this.notJson('the string does not end');
      if (unit < 0x20) throw this.notJson('a control character in a string');
      this.#at += unit === 0x5c ? this.#escapeLength() : 1;
    }
    this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  #escapeLength(): number {
    ESCAPE.lastIndex = this.#at;
    const match = ESCAPE.exec(this.#text);
    if (match === null) throw this.notJson('an unknown escape');
    return match[0].length;
  }
}

const isDigit = (character: string): boolean => character >= '0' && character <= '9' && character !== '';

function kindOf(character: string): string {
  if (character === '"') return 'a string';
  if (character === '[') return 'an array';
  if (character === '{') return 'an object';
  if (character === 'n') return 'null';
  return character === 't' || character === 'f' ? 'a boolean' : 'a number';
}
