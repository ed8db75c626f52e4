import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isLoopback, networkOf, siteOf } from './network-of.ts';

/** How many connections may be open, altogether and from one part of the network. */
export interface ConnectionBounds {
  /** Altogether: each takes a file descriptor, and the store needs some too. */
  readonly maxConnections: number;
  /** From one IPv4 address or one IPv6 /64 ({@link networkOf}). */
  readonly maxConnectionsPerNetwork: number;
  /** From one IPv6 /48 ({@link siteOf}). */
  readonly maxConnectionsPerSite: number;
  /** Whether 127.0.0.1 and ::1 have a share as others (true). Behind a proxy on this machine its clients are many. */
  readonly sharesOnLoopback?: boolean;
}

/** One open connection. */
interface Place {
  readonly socket: Socket;
  readonly shares: readonly Share[];
  requests: number;
}

/** The connections that count for one bound, ordered by their last use. */
class Share {
  readonly places = new Set<Place>();
  readonly limit: number;
  readonly #onEmpty: () => void;

  constructor(limit: number, onEmpty: () => void) {
    this.limit = limit;
    this.#onEmpty = onEmpty;
  }

  remove(place: Place): void {
    this.places.delete(place);
    if (this.places.size === 0) this.#onEmpty();
  }

  moveToEnd(place: Place): void {
    if (this.places.delete(place)) this.places.add(place);
  }

  /** The connection without a request that was used least recently. */
  idlest(except: Place): Place | undefined {
    for (const place of this.places) if (place.requests === 0 && place !== except) return place;
    return undefined;
  }
}

/**
 * Bounds the connections of a server. In a full share the connection that was idle longest is closed for a new one; the
 * new one is closed when every other has a request under way.
 */
export function limitConnections(server: Server, bounds: ConnectionBounds): void {
  const shares = new Map<string, Share>();
  const places = new Map<Socket, Place>();
  const shareOf = (name: string, limit: number): Share => {
    const known = shares.get(name);
    if (known !== undefined) return known;
    const share = new Share(limit, () => shares.delete(name));
    shares.set(name, share);
    return share;
  };
  const sharesOf = (address: string | undefined): readonly Share[] => {
    const all = shareOf('all', bounds.maxConnections);
    // A Unix socket has no address: every peer on it is this machine.
    if (address === undefined) return [all];
    if (bounds.sharesOnLoopback === false && isLoopback(address)) return [all];
    const network = shareOf(networkOf(address), bounds.maxConnectionsPerNetwork);
    const site = siteOf(address);
    // The narrowest first: a network that is full closes its own connections, not those of others.
    return site === undefined ? [network, all] : [network, shareOf(site, bounds.maxConnectionsPerSite), all];
  };
  const drop = (place: Place): void => {
    // Node reports the end of a socket later; a destroyed connection must not count.
    if (places.delete(place.socket)) for (const share of place.shares) share.remove(place);
    place.socket.destroy();
  };
  server.on('connection', (socket) => {
    const place: Place = { socket, shares: sharesOf(socket.remoteAddress), requests: 0 };
    places.set(socket, place);
    for (const share of place.shares) share.places.add(place);
    socket.once('close', () => drop(place));
    for (const share of place.shares) {
      if (share.places.size > share.limit) drop(share.idlest(place) ?? place);
    }
  });
  server.on('request', ({ socket }, response) => {
    const place = places.get(socket);
    if (place === undefined) return;
    place.requests++;
    response.once('close', () => {
      place.requests--;
      for (const share of place.shares) share.moveToEnd(place);
    });
  });
}
