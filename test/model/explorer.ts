/** A step that can be taken, with its name for traces. */
export interface Step<State> {
  readonly name: string;
  readonly next: State;
  /** What must never happen, and did in this step. */
  readonly violation?: string | undefined;
}

/** A system to be explored: everything that can happen in a state. */
export interface Model<State> {
  readonly initial: State;
  steps(state: State): readonly Step<State>[];
  /** One text for all states that behave alike. */
  encode(state: State): string;
}

/**
 * The model after some steps, from where an exploration reaches further.
 * @throws RangeError for a step that cannot be taken there.
 */
export function startAfter<State>(model: Model<State>, names: readonly string[]): Model<State> {
  const initial = names.reduce((state, name) => {
    const steps = model.steps(state);
    const step = steps.find((candidate) => candidate.name === name);
    if (step === undefined) {
      throw new RangeError(`no step "${name}", only: ${steps.map((each) => each.name).join('; ')}`);
    }
    return step.next;
  }, model.initial);
  return { initial, steps: (state) => model.steps(state), encode: (state) => model.encode(state) };
}

/** What an exploration found. */
export interface Exploration {
  readonly states: number;
  /** Whether every reachable state was visited. */
  readonly isExhausted: boolean;
  readonly depth: number;
  /** The shortest way to a violation, its name last; `undefined` when there is none. */
  readonly trace: readonly string[] | undefined;
}

/**
 * Visits states breadth first until the first violation, or until `maxStates` are known.
 * @param options.isSought which violations end the search; a run in which another one happened is not followed further.
 */
export function explore<State>(
  model: Model<State>,
  {
    maxStates,
    isSought = () => true,
  }: { readonly maxStates: number; readonly isSought?: (violation: string) => boolean },
): Exploration {
  const known = new HashSet();
  const cameFrom: { readonly parent: number; readonly step: string }[] = [];
  let level: { readonly at: number; readonly state: State }[] = [];
  known.add(model.encode(model.initial));
  cameFrom.push({ parent: -1, step: 'start' });
  level.push({ at: 0, state: model.initial });
  for (let depth = 0; ; depth++) {
    const next: typeof level = [];
    for (const { at, state } of level) {
      for (const { name, next: after, violation } of model.steps(state)) {
        if (violation !== undefined && !isSought(violation)) continue;
        if (violation !== undefined) {
          const trace = [...pathTo(cameFrom, at), name, violation];
          return { states: known.size, isExhausted: false, depth: depth + 1, trace };
        }
        if (!known.add(model.encode(after))) continue;
        cameFrom.push({ parent: at, step: name });
        next.push({ at: cameFrom.length - 1, state: after });
      }
      if (known.size >= maxStates) return { states: known.size, isExhausted: false, depth, trace: undefined };
    }
    if (next.length === 0) return { states: known.size, isExhausted: true, depth, trace: undefined };
    level = next;
  }
}

function pathTo(
  cameFrom: readonly { readonly parent: number; readonly step: string }[],
  end: number,
): string[] {
  const steps: string[] = [];
  for (let at = end; at > 0; at = cameFrom[at]?.parent ?? 0) steps.unshift(cameFrom[at]?.step ?? '');
  return steps;
}

const FIRST_BITS = 22;

/** A set of texts of which only 64 bits of hash are kept: two of a billion pairs of states may be taken for one. */
class HashSet {
  #slots = new Uint32Array(2 << FIRST_BITS);
  size = 0;

  /** False when the text was in the set before. */
  add(text: string): boolean {
    if (this.size * 2 >= this.#slots.length / 2) this.#grow();
    const [high, low] = hash(text);
    return this.#put(high, low);
  }

  #put(high: number, low: number): boolean {
    const mask = this.#slots.length / 2 - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const [a, b] = [this.#slots[2 * at], this.#slots[2 * at + 1]];
      if (a === 0 && b === 0) {
        this.#slots[2 * at] = high;
        this.#slots[2 * at + 1] = low;
        this.size++;
        return true;
      }
      if (a === high && b === low) return false;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.size = 0;
    for (let at = 0; at < before.length; at += 2) {
      const [high, low] = [before[at] ?? 0, before[at + 1] ?? 0];
      if (high !== 0 || low !== 0) this.#put(high, low);
    }
  }
}

/** Two independent FNV-like hashes of 32 bits; never both zero. */
function hash(text: string): readonly [number, number] {
  let [high, low] = [0x811c9dc5, 0x9747b28c];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x5bd1e995);
    low ^= low >>> 15;
  }
  return [(high ^ (high >>> 16)) >>> 0, (low | 1) >>> 0];
}
