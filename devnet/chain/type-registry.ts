import { concatBytes } from '../../src/bytes/concat.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { compact, option, text, texts, u8, u32, vec } from './scale.ts';

/** Index of a type in the metadata's type table. */
export type TypeId = number;

/** Named fields of a composite type, in order. */
export type Fields = Readonly<Record<string, TypeId>>;

/** How a type is shown in the metadata besides its definition. */
interface TypeLabel {
  readonly path?: readonly string[];
  readonly params?: Readonly<Record<string, TypeId>>;
}

const primitives = ['bool', 'char', 'str', 'u8', 'u16', 'u32', 'u64', 'u128'] as const;

/** Name of a primitive type of scale-info. */
export type Primitive = (typeof primitives)[number];

const definitionTag = { composite: 0, variant: 1, sequence: 2, array: 3, tuple: 4, primitive: 5, compact: 6 };

function field(name: string | undefined, type: TypeId): Uint8Array {
  return concatBytes(
    option(name === undefined ? undefined : text(name)),
    compact(type),
    option(undefined),
    texts([]),
  );
}

/**
 * Builds the type table of runtime metadata (scale-info 1). Asking twice for the same type gives the same index, as
 * the real runtime does.
 */
export class TypeTable {
  readonly #encoded: Uint8Array[] = [];
  readonly #indexes = new Map<string, TypeId>();

  #intern(tag: keyof typeof definitionTag, body: Uint8Array, label: TypeLabel = {}): TypeId {
    const params = Object.entries(label.params ?? {});
    const encoded = concatBytes(
      texts(label.path ?? []),
      vec(params.map(([name, type]) => concatBytes(text(name), option(compact(type))))),
      u8(definitionTag[tag]),
      body,
      texts([]),
    );
    const key = toHex(encoded);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    const index = this.#encoded.push(encoded) - 1;
    this.#indexes.set(key, index);
    return index;
  }

  primitive(name: Primitive): TypeId {
    return this.#intern('primitive', u8(primitives.indexOf(name)));
  }

  /** A struct with named fields. */
  struct(path: readonly string[], fields: Fields, params: Fields = {}): TypeId {
    const body = vec(Object.entries(fields).map(([name, type]) => field(name, type)));
    return this.#intern('composite', body, { path, params });
  }

  /** A struct with unnamed fields, such as `AccountId32([u8; 32])`. */
  wrapper(path: readonly string[], inner: readonly TypeId[], params: Fields = {}): TypeId {
    return this.#intern('composite', vec(inner.map((type) => field(undefined, type))), { path, params });
  }

  /** An enum; each variant is its name and the types of its unnamed fields, indexed by position. */
  variant(
    path: readonly string[],
    variants: readonly (readonly [name: string, ...fields: TypeId[]])[],
    params: Fields = {},
  ): TypeId {
    const body = variants.map(([name, ...types], index) =>
      concatBytes(text(name), vec(types.map((type) => field(undefined, type))), u8(index), texts([])),
    );
    return this.#intern('variant', vec(body), { path, params });
  }

  sequence(item: TypeId): TypeId {
    return this.#intern('sequence', compact(item));
  }

  array(length: number, item: TypeId): TypeId {
    return this.#intern('array', concatBytes(u32(length), compact(item)));
  }

  tuple(...items: readonly TypeId[]): TypeId {
    return this.#intern('tuple', vec(items.map(compact)));
  }

  compact(inner: TypeId): TypeId {
    return this.#intern('compact', compact(inner));
  }

  /** `Option<T>`, which scale-info describes as an ordinary enum. */
  option(inner: TypeId): TypeId {
    return this.variant(['Option'], [['None'], ['Some', inner]], { T: inner });
  }

  /** The whole table, SCALE-encoded. */
  encode(): Uint8Array {
    return vec(this.#encoded.map((encoded, index) => concatBytes(compact(index), encoded)));
  }
}
