import type { ServerResponse } from 'node:http';

import { SecurityEvents } from '../../lib/events/security-events.js';
import { RemoteJwks } from '../../lib/keys/remote/remote-jwks.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { AllocationBook } from '../../lib/status-list/allocation-book.js';
import { StatusListReader } from '../../lib/status-list/status-list-reader.js';
import { StatusLists } from '../../lib/status-list/status-lists.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { TokenStanding } from '../../lib/tokens/token-standing.js';
import { resolveConfig } from '../../lib/config/resolve-config.js';
import { AUDIENCE } from '../support/guarded-app.js';
import { sendJson, startIssuerServer } from '../support/issuer-server.js';
import { TestClock } from '../support/test-clock.js';
import { createAuthority } from '../support/tls-authority.js';
import { openIssuer } from '../support/token-mother.js';
import { recordSecret } from '../support/witness.js';

const authority = createAuthority();
const POLICY = {
  size: 8_192,
  period: 86_400,
  ttl: 60,
  lifetime: 600,
  maxLifetime: 3_600,
  leeway: 10,
};

describe('one service issues, another one verifies', () => {
  it('and learns from the list what was revoked', async () => {
    const clock = new TestClock();
    const server = await startIssuerServer(authority.issue());
    const { origin } = server.url;
    const storage = memoryStorage({ clock });
    const { keyRing, trusted, events } = await openIssuer({ issuer: origin, storage }, clock);
    const config = await resolveConfig({ issuer: origin, audience: AUDIENCE, storage }, 'test');
    const book = new AllocationBook(POLICY.size);
    const { revocationLog: log, replayStore } = storage;
    const revocations = await RevocationService.open(config.revocation, {
      log,
      clock,
      events: new SecurityEvents(),
      withdrawKey: async () => {},
      companion: book,
    });
    const lists = new StatusLists(
      { ...POLICY, issuer: origin, baseUri: `${origin}/status-lists` },
      { book, clock, keyRing, log, replayStore, revocations },
    );
    const parts = { revocations, subjects: null, statusLists: null };
    const standing = new TokenStanding({ ...parts, allocator: lists });
    const issuing = new TokenService(config.tokens, { keyRing, trusted, standing, clock, events });
    const publish = async (name: string, response: ServerResponse): Promise<void> => {
      const list = await lists.read(name);
      response.writeHead(200, { 'content-type': 'application/statuslist+jwt' });
      response.end(list?.body);
    };
    server.answer = (request, response) => {
      const path = request.url ?? '';
      if (path === '/jwks') {
        sendJson(JSON.parse(keyRing.jwks().body))(request, response);
        return;
      }
      void publish(path.slice(path.lastIndexOf('/') + 1), response);
    };

    const freshness = { cacheFor: 60_000, staleFor: 60_000, cooldown: 1_000 };
    const jwks = new RemoteJwks(
      {
        issuer: origin,
        jwksUri: server.url,
        algorithms: ['ES256'],
        pins: null,
        timeout: 5_000,
        ca: [authority.ca],
        ...freshness,
      },
      clock,
      () => {},
    );
    const reader = new StatusListReader(
      [
        {
          issuer: origin,
          audiences: [AUDIENCE],
          leeway: 10,
          origins: new Map([[origin, null]]),
          maxListBytes: 2 ** 20,
          maxTtl: 300_000,
          staleFor: 0,
          maxAge: 86_400_000,
          timeout: 5_000,
          ca: [authority.ca],
        },
      ],
      { clock, keysOf: () => jwks, report: () => {} },
    );

    const [revoked, other] = await Promise.all(
      ['alice', 'bob'].map(async (sub) => {
        const { token } = await issuing.sign({ sub, sid: `of-${sub}` });
        recordSecret(token);
        return issuing.verify(token);
      }),
    );
    if (revoked === undefined || other === undefined) throw new Error('nothing was signed');
    expect(await reader.status(revoked)).toEqual({ status: 'valid' });
    await revocations.revokeSession('of-alice');
    await revocations.catchUp();
    clock.advance(60_000);
    expect(await reader.status(revoked)).toEqual({ status: 'invalid' });
    expect(await reader.status(other)).toEqual({ status: 'valid' });
    reader.close();
    jwks.close();
    revocations.onModuleDestroy();
  });
});
