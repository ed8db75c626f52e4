/** The body of one request, from its first byte until the request is answered; or of one answer, until it is taken. */
export interface BodyPlace {
  /** Counts bytes that arrived; may end this body or others. */
  grow(bytes: number): void;
  /** The body is complete: it is needed for its answer, and ended for no other one. */
  complete(): void;
  /** The request is answered, or failed. */
  leave(): void;
}

interface Body {
  readonly site: Site;
  readonly end: () => void;
  bytes: number;
}

/** The bodies from one part of the network. */
interface Site {
  readonly name: string;
  readonly arriving: Set<Body>;
  /** Of all its bodies. */
  bytes: number;
  bodies: number;
}

/**
 * Bounds the memory that the bodies of all requests, or of all answers, take together. Where they would take more, the largest body that is
 * still arriving is ended, of the part of the network that holds most: senders of slow large bodies make room for
 * all others.
 */
export class BodyRoom {
  readonly #maxBytes: number;
  readonly #sites = new Map<string, Site>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * @param name of the part of the network that the request is from.
   * @param end is called at most once: the body must make room, and nothing of it may be kept.
   */
  enter(name: string, end: () => void): BodyPlace {
    const site = this.#sites.get(name) ?? { name, arriving: new Set(), bytes: 0, bodies: 0 };
    this.#sites.set(name, site);
    site.bodies += 1;
    const body: Body = { site, end, bytes: 0 };
    site.arriving.add(body);
    let isHere = true;
    return {
      grow: (bytes) => {
        if (!site.arriving.has(body)) return;
        this.#count(body, bytes);
        while (this.#bytes > this.#maxBytes) this.#endLargest();
      },
      complete: () => void site.arriving.delete(body),
      leave: () => {
        if (!isHere) return;
        isHere = false;
        this.#stop(body);
        site.bodies -= 1;
        if (site.bodies === 0) this.#sites.delete(site.name);
      },
    };
  }

  #count(body: Body, bytes: number): void {
    body.bytes += bytes;
    body.site.bytes += bytes;
    this.#bytes += bytes;
  }

  #stop(body: Body): void {
    body.site.arriving.delete(body);
    this.#count(body, -body.bytes);
  }

  /** There is one: what is complete was within the bound when it arrived. */
  #endLargest(): void {
    const site = largest([...this.#sites.values()].filter(({ arriving }) => arriving.size > 0));
    const body = largest(site?.arriving ?? []);
    if (body === undefined) throw new Error('complete bodies are larger than the room');
    this.#stop(body);
    body.end();
  }
}

function largest<T extends { readonly bytes: number }>(all: Iterable<T>): T | undefined {
  let found: T | undefined;
  for (const one of all) if (found === undefined || one.bytes > found.bytes) found = one;
  return found;
}
