/**
 * Types of the Fetch API as the program that imports this one has them: from the library `dom`, from `@types/node`, or
 * from neither. A declaration that names `AbortSignal` itself does not compile where neither is there.
 */

/** `AbortSignal`, or the part of it that is used. */
export type PlatformSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : {
      readonly aborted: boolean;
      addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
      removeEventListener(type: 'abort', listener: () => void): void;
    };

/** `RequestInit`, the second argument of `fetch`. */
export type PlatformRequestInit = typeof globalThis extends {
  fetch: (url: string, init?: infer Init) => unknown;
}
  ? NonNullable<Init>
  : object;

/** `Headers`, or the part of it that is used. */
export type PlatformHeaders = typeof globalThis extends { Headers: { prototype: infer Headers } }
  ? Headers
  : { get(name: string): string | null };

/** `Response`, or an object: the global `fetch` gives it. */
export type PlatformResponse = typeof globalThis extends { Response: { prototype: infer Response } }
  ? Response
  : object;
