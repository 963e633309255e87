import { Controller, Get } from '@nestjs/common';

import { CurrentToken, OnStale, Policy, Public } from '../../lib/guard/decorators.js';
import { KeyRingService } from '../../lib/keys/key-ring.service.js';
import { RevocationService } from '../../lib/revocation/revocation.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { SharedLog, TroubledLog } from '../revocation/troubled-log.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections } from '../support/http.js';
import { type ProtectedApp, type ProtectedAppOptions, startProtectedApp } from './protected-app.js';

/** What the guard does with revoked tokens, and while nobody can say whether one was revoked. */
afterAll(closeConnections);

let meanwhile: () => Promise<unknown> = async () => {};

const slow = async (): Promise<boolean> => {
  await meanwhile();
  return true;
};

@Controller()
class Routes {
  @Get('plain')
  plain(): string {
    return 'reached';
  }

  @Public()
  @Get('public')
  open(@CurrentToken() token: VerifiedToken | undefined): string {
    return token === undefined ? 'anonymous' : 'known';
  }

  @Policy(slow)
  @Get('slow')
  slow(): string {
    return 'reached';
  }

  @OnStale('acceptWithAlert')
  @Get('lenient')
  lenient(): string {
    return 'reached';
  }

  @OnStale('reject')
  @Get('strict')
  strict(): string {
    return 'reached';
  }
}

@OnStale('reject')
@Controller('strict-class')
class StrictClass {
  @OnStale('acceptWithAlert')
  @Get('lenient')
  lenient(): string {
    return 'reached';
  }
}

@OnStale('acceptWithAlert')
@Controller('lenient-class')
class LenientClass {
  @Get('plain')
  plain(): string {
    return 'reached';
  }

  @OnStale('reject')
  @Get('strict')
  strict(): string {
    return 'reached';
  }
}

let app: ProtectedApp;
let log: TroubledLog;

afterEach(async () => {
  meanwhile = async () => {};
  await app.close();
});

async function start(settings: ProtectedAppOptions): Promise<void> {
  log = new TroubledLog(new SharedLog());
  const storage = { ...memoryStorage(), reach: 'shared', revocationLog: log } as const;
  app = await startProtectedApp([Routes, StrictClass, LenientClass], {
    ...settings,
    options: { storage, keys: { encryptionKeys: null }, ...settings.options },
  });
}

const shown = ({ status, headers, body }: Answer): unknown => ({
  status,
  challenge: headers['www-authenticate'],
  body,
});

describe.each(ADAPTERS)('%s: a revoked token', (adapter) => {
  beforeEach(() => start({ adapter }));

  it('is answered byte for byte like one that is wrong', async () => {
    const token = await app.sign({ sid: 's1' });
    expect((await app.send('/plain', { token })).body).toBe('reached');
    await app.app.get(RevocationService).revokeSession('s1');
    const wrong = `${token.slice(0, -4)}AAAA`;
    const answer = await app.send('/plain', { token });
    expect(shown(answer)).toEqual(shown(await app.send('/plain', { token: wrong })));
    expect(answer.status).toBe(401);
    expect(app.events.filter(({ type }) => type === 'token.rejected')[0]).toMatchObject({
      code: 'ERR_TOKEN_REVOKED',
      detail: 'it was revoked, by session',
      handler: 'Routes.plain',
    });
  });

  it('is nobody on a public route', async () => {
    const token = await app.sign({ sid: 's1' });
    expect((await app.send('/public', { token })).body).toBe('known');
    await app.app.get(RevocationService).revokeSession('s1');
    expect((await app.send('/public', { token })).body).toBe('anonymous');
  });

  it.each<[what: string, code: string, end: (token: VerifiedToken) => Promise<unknown>]>([
    [
      'was revoked',
      'ERR_TOKEN_REVOKED',
      ({ subject }) => app.app.get(RevocationService).revokeSubject(subject),
    ],
    [
      'lost its key',
      'ERR_TOKEN_UNKNOWN_KEY',
      ({ kid }) => app.app.get(KeyRingService).compromise(kid),
    ],
    ['expired', 'ERR_TOKEN_EXPIRED', async () => app.clock.advance(1_000_000)],
  ])('does not reach its handler when it %s while a policy took its time', async (...row) => {
    const [, code, end] = row;
    const token = await app.sign();
    expect((await app.send('/slow', { token })).status).toBe(200);
    const verified = await app.app.get(TokenService).verify(token);
    meanwhile = async () => {
      await end(verified);
      await app.app.get(KeyRingService).refresh();
      await app.app.get(RevocationService).catchUp();
    };
    expect((await app.send('/slow', { token })).status).toBe(401);
    expect(app.events.at(-1)).toMatchObject({ type: 'token.rejected', code });
  });
});

/** Both stores are heard of no more. */
async function cutOff(): Promise<void> {
  log.news = 'kept back';
  log.reads = 'fail';
  app.clock.advance(5_001);
  await app.app.get(KeyRingService).refresh();
}

describe.each(ADAPTERS)('%s: while the log is stale', (adapter) => {
  it.each([
    ['reject', { '/plain': 503, '/lenient': 200, '/strict': 503, '/slow': 503 }],
    ['acceptWithAlert', { '/plain': 200, '/lenient': 200, '/strict': 503, '/slow': 200 }],
  ] as const)('outage.onStale %s holds unless a route says otherwise', async (onStale, routes) => {
    await start({ adapter, options: { outage: { onStale } } });
    const token = await app.sign();
    await cutOff();
    const everywhere = {
      ...routes,
      '/strict-class/lenient': 503,
      '/lenient-class/plain': 200,
      '/lenient-class/strict': 503,
    };
    for (const [path, status] of Object.entries(everywhere)) {
      const answer = await app.send(path, { token });
      expect([path, answer.status]).toEqual([path, status]);
      const isRefused = status === 503;
      expect(answer.headers['retry-after']).toBe(isRefused ? '5' : undefined);
      expect(answer.headers['www-authenticate']).toBeUndefined();
    }
  });

  it('a public route takes the bearer for nobody, and a wrong token is still wrong', async () => {
    await start({ adapter });
    const token = await app.sign();
    await cutOff();
    expect((await app.send('/public', { token })).body).toBe('anonymous');
    expect((await app.send('/plain', { token: `${token.slice(0, -4)}AAAA` })).status).toBe(401);
    expect((await app.send('/plain')).status).toBe(401);
  });

  it('says so once, refuses as unavailable, and is back when the log is', async () => {
    await start({ adapter });
    const token = await app.sign();
    await cutOff();
    app.forgetEvents();
    for (let turn = 0; turn < 3; turn++) await app.send('/plain', { token });
    expect(app.events.map(({ type }) => type)).toEqual([
      'revocation.stale',
      'access.denied',
      'access.denied',
      'access.denied',
    ]);
    expect(app.events[1]).toMatchObject({ code: 'ERR_ACCESS_UNAVAILABLE' });
    log.news = 'told';
    log.reads = 'answered';
    log.look();
    expect((await app.send('/plain', { token })).status).toBe(200);
  });

  it('the same holds for the key ring', async () => {
    await start({ adapter });
    const token = await app.sign();
    log.look();
    app.clock.advance(5_001);
    log.look();
    // The ring's own store answers, so that what was stale is current for the next request.
    expect((await app.send('/lenient', { token })).status).toBe(200);
    expect(app.events.map(({ type }) => type)).toContain('key.stale');
  });
});
