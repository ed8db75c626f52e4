import { AccountId, InstanceId } from '../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import { serverDrainingBody, serverRestartedBody } from '../../src/http/node-bodies.ts';
import type { KeyServer } from '../../src/keyserver/key-server.ts';
import type { NewsHeard } from '../../src/node/hear-news.ts';
import { parseWire } from '../../src/protocol/decode.ts';
import { NEWS_NONCE_BYTES, type ServerNews } from '../../src/protocol/not-enrolled.ts';
import type { Handler } from './simulated-network-wire.ts';

/** The routes of a node, without the middleware. */
export function handlerOf(keyServer: KeyServer, hear: (news: ServerNews) => NewsHeard): Handler {
  return async (path, body) => {
    switch (path) {
      case '/challenge':
        return keyServer.challenge(body);
      case '/request-encryption-key':
        return keyServer.requestKey(body, 'simulated');
      case '/key-status':
        return keyServer.keyStatus(body);
      case '/reserve':
        return keyServer.reserve(body);
      case '/claim':
        return keyServer.claim(body);
      case '/forget':
        return keyServer.forget(body);
      case '/lineage-status':
        return keyServer.lineageStatus(body);
      case '/lineage-update':
        return keyServer.lineageUpdate(body);
      case '/attestation':
        return keyServer.attestation();
      case '/server-restarted':
        return newsAnswer(hear(restartOf(body)));
      case '/server-draining':
        return newsAnswer(hear(drainingOf(body)));
      default:
        throw new EvidenceError('ROUTE_NOT_FOUND', path);
    }
  };
}

function restartOf(body: unknown): ServerNews {
  const { server, instanceId } = parseWire(serverRestartedBody, body);
  return {
    server: AccountId.parse(server, 'server'),
    instanceId: InstanceId.parse(instanceId, 'instanceId'),
  };
}

function drainingOf(body: unknown): ServerNews {
  const { server, nonce } = parseWire(serverDrainingBody, body);
  return {
    server: AccountId.parse(server, 'server'),
    nonce: parsePrefixedHex(nonce, NEWS_NONCE_BYTES, 'nonce'),
  };
}

const newsAnswer = (heard: NewsHeard) =>
  heard.enrolled ? heard : { ...heard, signature: toPrefixedHex(heard.signature) };
