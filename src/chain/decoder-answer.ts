import { escapeControls } from '../bytes/escape-controls.ts';
import {
  type DecoderAnswer,
  type Layout,
  MAX_LAYOUT_DEPTH,
  MAX_LAYOUT_PARTS,
  MAX_TEXT_CHARACTERS,
  type RuntimeLayout,
  type ServerInfoField,
  serverInfoFields,
} from './runtime-layout.ts';

/** Largest value of fixed size that is stepped over; larger ones are no part of a record. */
const MAX_FIXED_BYTES = 64 * 1024;

type Fields = Readonly<Record<string, unknown>>;

const wrong = (what: string): RangeError => new RangeError(`the decoder's answer is malformed: ${what}`);

/** An object with exactly these fields. */
function fieldsOf(value: unknown, names: readonly string[], what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what);
  const own = Object.keys(value);
  if (own.length !== names.length || !names.every((name) => Object.hasOwn(value, name))) throw wrong(what);
  // Just checked; the values stay unknown.
  return value as Fields;
}

function listOf(value: unknown, most: number, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw wrong(what);
  return value;
}

function integer(value: unknown, min: number, max: number, what: string): number {
  const isGood = typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
  if (!isGood) throw wrong(what);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT_CHARACTERS) throw wrong(what);
  return escapeControls(value);
}

/** Reads layouts; the bound on their parts is for all of one answer together. */
class LayoutParser {
  #partsLeft = MAX_LAYOUT_PARTS;

  layout(value: unknown, depth = 1): Layout {
    this.#partsLeft -= 1;
    if (this.#partsLeft < 0 || depth > MAX_LAYOUT_DEPTH) throw wrong('a layout that is too large');
    const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
    switch (kind) {
      case 'fixed': {
        const { bytes } = fieldsOf(value, ['kind', 'bytes'], 'fixed');
        return { kind, bytes: integer(bytes, 1, MAX_FIXED_BYTES, 'bytes of fixed') };
      }
      case 'compact':
        fieldsOf(value, ['kind'], 'compact');
        return { kind };
      case 'tuple': {
        const parts = this.#layouts(fieldsOf(value, ['kind', 'parts'], 'tuple')['parts'], depth);
        // Of no parts it would take no bytes, and a sequence of it no end.
        if (parts.length === 0) throw wrong('an empty tuple');
        return { kind, parts };
      }
      case 'sequence':
        return { kind, of: this.layout(fieldsOf(value, ['kind', 'of'], 'sequence')['of'], depth + 1) };
      case 'array': {
        const { length, of } = fieldsOf(value, ['kind', 'length', 'of'], 'array');
        const known = integer(length, 1, MAX_FIXED_BYTES, 'length of an array');
        return { kind, length: known, of: this.layout(of, depth + 1) };
      }
      case 'choice': {
        const { variants } = fieldsOf(value, ['kind', 'variants'], 'choice');
        return { kind, variants: listOf(variants, 256, 'variants').map((one) => this.#variant(one, depth)) };
      }
      default:
        throw wrong('a layout of an unknown kind');
    }
  }

  #variant(value: unknown, depth: number): { readonly index: number; readonly parts: readonly Layout[] } {
    const { index, parts } = fieldsOf(value, ['index', 'parts'], 'variant');
    return { index: integer(index, 0, 255, 'index of a variant'), parts: this.#layouts(parts, depth) };
  }

  #layouts(value: unknown, depth: number): readonly Layout[] {
    return listOf(value, MAX_LAYOUT_PARTS, 'parts').map((part) => this.layout(part, depth + 1));
  }
}

const readNames = Object.keys(serverInfoFields);
// Object.keys of a constant object: its keys and no others.
const isRead = (value: unknown): value is ServerInfoField =>
  typeof value === 'string' && readNames.includes(value);

function runtimeLayout(value: unknown): RuntimeLayout {
  const names = ['serverInfo', 'entropyTssIndex', 'hasTimestamp'];
  const { serverInfo, entropyTssIndex, hasTimestamp } = fieldsOf(value, names, 'layout');
  const parser = new LayoutParser();
  const parts = listOf(serverInfo, MAX_LAYOUT_PARTS, 'serverInfo').map((part) =>
    isRead(part) ? part : parser.layout(part),
  );
  for (const name of readNames) {
    if (parts.filter((part) => part === name).length !== 1) throw wrong(`not exactly one ${name}`);
  }
  if (typeof hasTimestamp !== 'boolean') throw wrong('hasTimestamp');
  return {
    serverInfo: parts,
    entropyTssIndex: integer(entropyTssIndex, 0, 255, 'entropyTssIndex'),
    hasTimestamp,
  };
}

/**
 * Reads the answer of a decoder process, which worked on what an endpoint sent and is believed no more than that
 * endpoint. At most MAX_ANSWER_BYTES must come in.
 * @throws RangeError or SyntaxError on anything that is not exactly an answer.
 */
export function parseDecoderAnswer(json: string): DecoderAnswer {
  const value: unknown = JSON.parse(json);
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  switch (kind) {
    case 'layout':
      return { kind, layout: runtimeLayout(fieldsOf(value, ['kind', 'layout'], 'answer')['layout']) };
    case 'shape': {
      const { item, expected, observed } = fieldsOf(
        value,
        ['kind', 'item', 'expected', 'observed'],
        'answer',
      );
      return {
        kind,
        item: text(item, 'item'),
        expected: text(expected, 'expected'),
        observed: text(observed, 'observed'),
      };
    }
    case 'unusable':
      return { kind, why: text(fieldsOf(value, ['kind', 'why'], 'answer')['why'], 'why') };
    default:
      throw wrong('an unknown kind');
  }
}
