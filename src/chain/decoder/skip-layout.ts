import { type Layout, MAX_LAYOUT_DEPTH, MAX_LAYOUT_PARTS } from '../runtime-layout.ts';
import type { Registry } from './load-metadata.ts';

/** A type of the metadata, as the library shows it. */
type SiType = ReturnType<Registry['lookup']['getSiType']>;
type SiFields = SiType['def']['asComposite']['fields'];
/** Index of a type; the library's own class for it has no constructor to call. */
type TypeId = Parameters<Registry['lookup']['getSiType']>[0];

/** Bytes of scale-info's primitives; `Str` is a sequence. */
const primitiveBytes: Readonly<Record<string, number>> = {
  Bool: 1,
  Char: 4,
  U8: 1,
  U16: 2,
  U32: 4,
  U64: 8,
  U128: 16,
  U256: 32,
  I8: 1,
  I16: 2,
  I32: 4,
  I64: 8,
  I128: 16,
  I256: 32,
};

/** A type that is not stepped over: recursive, too large, or of a form that no Entropy runtime has used. */
export class NoLayoutError extends Error {}

/** Turns types of one registry into layouts; the bounds are for all of them together. */
export class LayoutWriter {
  readonly #lookup: Registry['lookup'];
  #partsLeft = MAX_LAYOUT_PARTS;

  constructor(registry: Registry) {
    this.#lookup = registry.lookup;
  }

  /** @returns `undefined` for a type that takes no bytes. @throws NoLayoutError. */
  layoutOf(id: TypeId, depth = 1): Layout | undefined {
    this.#partsLeft -= 1;
    if (this.#partsLeft < 0) throw new NoLayoutError('too many parts');
    if (depth > MAX_LAYOUT_DEPTH) throw new NoLayoutError('too deep');
    const { def } = this.#lookup.getSiType(id);
    switch (def.type) {
      case 'Primitive':
        return this.#primitive(def.asPrimitive.type);
      case 'Composite':
        return tupleOf(this.#fields(def.asComposite.fields, depth));
      case 'Tuple':
        return tupleOf(this.#parts(def.asTuple, depth));
      case 'Array':
        return arrayOf(def.asArray.len.toNumber(), this.layoutOf(def.asArray.type, depth + 1));
      case 'Sequence':
        return sequenceOf(this.layoutOf(def.asSequence.type, depth + 1));
      case 'Variant':
        return {
          kind: 'choice',
          variants: def.asVariant.variants.map(({ fields, index }) => ({
            index: index.toNumber(),
            parts: this.#fields(fields, depth),
          })),
        };
      case 'Compact':
        // Compact<()> has no bytes; every other Compact type has the bytes of a compact integer.
        return this.layoutOf(def.asCompact.type, depth + 1) === undefined ? undefined : { kind: 'compact' };
      default:
        throw new NoLayoutError(`a ${def.type}`);
    }
  }

  #primitive(name: string): Layout {
    if (name === 'Str') return { kind: 'sequence', of: { kind: 'fixed', bytes: 1 } };
    const bytes = primitiveBytes[name];
    if (bytes === undefined) throw new NoLayoutError(`the primitive ${name}`);
    return { kind: 'fixed', bytes };
  }

  #fields(fields: SiFields, depth: number): Layout[] {
    return this.#parts(
      fields.map(({ type }) => type),
      depth,
    );
  }

  #parts(ids: readonly TypeId[], depth: number): Layout[] {
    return ids.map((id) => this.layoutOf(id, depth + 1)).filter((part) => part !== undefined);
  }
}

function tupleOf(parts: readonly Layout[]): Layout | undefined {
  return parts.length > 1 ? { kind: 'tuple', parts } : parts[0];
}

function arrayOf(length: number, of: Layout | undefined): Layout | undefined {
  if (of === undefined || length === 0) return undefined;
  return of.kind === 'fixed' ? { kind: 'fixed', bytes: length * of.bytes } : { kind: 'array', length, of };
}

function sequenceOf(of: Layout | undefined): Layout {
  // No runtime stores a list of empty items, and one byte of count could cost a billion steps.
  if (of === undefined) throw new NoLayoutError('a sequence of nothing');
  return { kind: 'sequence', of };
}
