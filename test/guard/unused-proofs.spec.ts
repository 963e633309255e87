import { Controller, Get } from '@nestjs/common';

import { SenderProofs } from '../../lib/binding/sender-proofs.service.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import { StepUpService } from '../../lib/step-up/step-up.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { digestOf, newHolder, proofOf } from '../binding/dpop/proof-mother.js';
import { FIREFOX } from '../binding/fingerprint/sender-mother.js';
import { AUDIENCE, startGuardedApp } from '../support/guarded-app.js';
import { type Answer, send } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';

/** What those can do who have no token, or a token without its key: nothing that is remembered. */

@Controller()
class Things {
  @Get('me')
  me(): object {
    return {};
  }
}

const DPOP = { publicUrls: [AUDIENCE], nonce: null } as const;

describe('proofs of whoever has no token', () => {
  it('fill no store, so that others can still prove and confirm', async () => {
    const clock = new TestClock();
    const storage = memoryStorage({ clock, maxEntries: 50 });
    const running = await startGuardedApp([Things], {
      clock,
      options: {
        storage,
        tokenPath: '/oauth/token',
        binding: { dpop: DPOP },
        clients: [
          {
            clientId: 'native',
            authentication: { method: 'none' },
            may: ['authorize'],
            redirectUris: ['http://127.0.0.1/callback'],
          },
        ],
      },
    });
    const { app, url } = running;
    const holder = await newHolder();
    const claims = { htm: 'POST', htu: `${AUDIENCE}/oauth/token`, ath: undefined };
    for (let times = 0; times < 60; times++) {
      const answer = await fetch(`${url}/oauth/token`, {
        method: 'POST',
        headers: { DPoP: await proofOf(holder, clock, { claims }) },
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: 'native',
          refresh_token: `rt1_${'A'.repeat(128)}`,
        }),
      });
      expect(await answer.json()).toEqual({ error: 'invalid_grant' });
    }
    const pair = await app.get(SessionService).start('alice');
    recordSecret(pair.accessToken);
    const token = await app.get(TokenService).verify(pair.accessToken);
    const stepUps = app.get(StepUpService);
    const { confirmationToken } = await stepUps.issueConfirmation({ token, action: 'close' });
    recordSecret(confirmationToken);
    await stepUps.consumeConfirmation(confirmationToken, { token, action: 'close' });
    await running.close();
  });
});

describe('whoever has a bound token and not its key', () => {
  it('is not counted for its owner, who goes on as before', async () => {
    const clock = new TestClock();
    const running = await startGuardedApp([Things], {
      clock,
      options: {
        storage: memoryStorage({ clock }),
        binding: { dpop: DPOP, fingerprint: {} },
      },
    });
    const { app, url } = running;
    const holder = await newHolder();
    const look = app.get(SenderProofs).look({
      headers: { 'user-agent': FIREFOX.userAgent, 'accept-language': 'en' },
      socket: { remoteAddress: '127.0.0.1' },
    });
    const binding = { kind: 'dpop', value: holder.jkt } as const;
    const { accessToken } = await app.get(SessionService).start('alice', { ...look, binding });
    recordSecret(accessToken);
    const visit = (language: string, proof: string): Promise<Answer> =>
      send(url, '/me', {
        headers: {
          'User-Agent': FIREFOX.userAgent,
          'Accept-Language': language,
          Authorization: `DPoP ${accessToken}`,
          DPoP: proof,
        },
      });
    const right = (): Promise<string> =>
      proofOf(holder, clock, { claims: { ath: digestOf(accessToken) } });
    expect((await visit('es', await right())).status).toBe(200);
    for (const language of ['aa', 'bb', 'cc', 'dd', 'ee', 'ff', 'gg', 'hh']) {
      expect((await visit(language, 'not.a.proof')).status).toBe(401);
    }
    expect((await visit('de', await right())).status).toBe(200);
    await running.close();
  });
});
