import { Controller, Delete, Get, Post } from '@nestjs/common';

import { CurrentToken, Policy, RequireStepUp, Scopes } from '../../lib/guard/decorators.js';
import { Clock } from '../../lib/kernel/clock.js';
import { StepUpService } from '../../lib/step-up/step-up.service.js';
import { memoryStorage } from '../../lib/storage/memory/memory-storage.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { TokenService } from '../../lib/tokens/token.service.js';
import { type ProtectedApp, startProtectedApp } from '../guard/protected-app.js';
import { tally } from '../sessions/session-room.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections } from '../support/http.js';
import { TestClock } from '../support/test-clock.js';
import { recordSecret } from '../support/witness.js';

afterAll(closeConnections);

const ACTION = 'delete_account';
const HEADER = 'X-Confirmation-Token';

/** The clock of the application, for a storage that is made before it. */
class SharedClock extends Clock {
  inner: Clock = new TestClock();

  override now(): number {
    return this.inner.now();
  }
}

let handled: string[] = [];
let policy = (): boolean => true;

@Controller('bank')
class Bank {
  @Scopes('pay')
  @RequireStepUp({ maxAge: '5m' })
  @Get('pay')
  pay(@CurrentToken() token: VerifiedToken): void {
    handled.push(token.subject);
  }

  @RequireStepUp({ acr: ['gold', 'platinum'], amr: 'otp' })
  @Get('vault')
  vault(@CurrentToken() token: VerifiedToken): void {
    handled.push(token.subject);
  }

  @Scopes('pay')
  @RequireStepUp({ maxAge: '5m', action: ACTION })
  @Policy(() => policy())
  @Delete('account')
  remove(@CurrentToken() token: VerifiedToken): void {
    handled.push(token.subject);
  }

  @RequireStepUp({ action: 'close' })
  @Post('close')
  close(): void {
    handled.push('close');
  }
}

describe.each(ADAPTERS)('routes that demand a step-up, on %s', (adapter) => {
  let bank: ProtectedApp;
  beforeAll(async () => {
    const clock = new SharedClock();
    bank = await startProtectedApp([Bank], {
      adapter,
      options: { storage: memoryStorage({ clock }) },
    });
    clock.inner = bank.clock;
  });
  afterAll(() => bank.close());
  beforeEach(() => {
    handled = [];
    policy = () => true;
    bank.forgetEvents();
  });

  const tokenOf = (claims: object = {}): Promise<string> =>
    bank.sign({ scope: 'pay', sid: 'session-1', auth_time: bank.clock.seconds(), ...claims });
  const confirm = async (token: string, action = ACTION): Promise<string> => {
    const verified = await bank.app.get(TokenService).verify(token);
    const stepUp = bank.app.get(StepUpService);
    const { confirmationToken } = await stepUp.issueConfirmation({ token: verified, action });
    recordSecret(confirmationToken);
    return confirmationToken;
  };
  const remove = (token: string, confirmation?: string, body?: object): Promise<Answer> =>
    bank.send('/bank/account', {
      method: 'DELETE',
      token,
      headers: {
        ...(confirmation === undefined ? {} : { [HEADER]: confirmation }),
        // Node sends the body of a DELETE without saying how long it is.
        ...(body === undefined ? {} : { 'content-length': `${JSON.stringify(body).length}` }),
      },
      body,
    });

  const challenged = (details: string): object => ({
    status: 401,
    body: '{"error":"insufficient_user_authentication"}',
    headers: {
      'www-authenticate': `Bearer error="insufficient_user_authentication", ${details}`,
    },
  });

  it('lets in who authenticated a moment ago, and challenges who did before that', async () => {
    const token = await tokenOf();
    expect(await bank.send('/bank/pay', { token })).toMatchObject({ status: 200 });
    bank.clock.advance(300_000);
    expect(await bank.send('/bank/pay', { token })).toMatchObject({ status: 200 });
    bank.clock.advance(1_000);
    expect(await bank.send('/bank/pay', { token })).toMatchObject(challenged('max_age="300"'));
    expect(handled).toHaveLength(2);
    expect(bank.events).toMatchObject([
      { type: 'token.issued' },
      { type: 'stepUp.asked', handler: 'Bank.pay' },
    ]);
  });

  it.each<readonly [string, object]>([
    ['no auth_time', { auth_time: undefined }],
    ['no acr', { amr: ['otp'] }],
    ['an acr in capitals', { acr: 'GOLD', amr: ['otp'] }],
    ['no amr', { acr: 'gold' }],
  ])('takes a token with %s for none that shows it', async (_, claims) => {
    const token = await tokenOf(claims);
    const path = 'auth_time' in claims ? '/bank/pay' : '/bank/vault';
    expect((await bank.send(path, { token })).status).toBe(401);
    expect(handled).toEqual([]);
  });

  it('names the values of acr that would do', async () => {
    const token = await tokenOf({ acr: 'silver', amr: ['otp'] });
    expect(await bank.send('/bank/vault', { token })).toMatchObject(
      challenged('acr_values="gold platinum"'),
    );
  });

  it('judges each token by itself: stepping down after a step-up leaves nothing behind', async () => {
    const [strong, weak] = [
      await tokenOf({ acr: 'gold', amr: ['pwd', 'otp'] }),
      await tokenOf({ acr: 'bronze', amr: ['pwd'] }),
    ];
    const statuses: number[] = [];
    for (const token of [strong, weak, strong, weak, weak, strong]) {
      statuses.push((await bank.send('/bank/vault', { token })).status);
    }
    expect(statuses).toEqual([200, 401, 200, 401, 401, 200]);
  });

  it('denies, and does not challenge, where no step-up would help', async () => {
    const token = await tokenOf({ scope: 'read', auth_time: undefined });
    expect(await bank.send('/bank/pay', { token })).toMatchObject({
      status: 403,
      body: '{"error":"insufficient_scope"}',
    });
  });

  describe('with a confirmation', () => {
    it('lets one request through, by header or by body', async () => {
      const token = await tokenOf();
      expect((await remove(token, await confirm(token))).status).toBe(200);
      const body = { confirmation_token: await confirm(token) };
      expect((await remove(token, undefined, body)).status).toBe(200);
      expect(handled).toHaveLength(2);
    });

    it('is asked for by its action', async () => {
      const token = await tokenOf();
      const asked = challenged(`action="${ACTION}"`);
      expect(await remove(token)).toMatchObject(asked);
      expect(await remove(token, 'a.b.c')).toMatchObject(asked);
      expect(await remove(token, await confirm(token, 'close'))).toMatchObject(asked);
      expect(await remove(token, token)).toMatchObject(asked);
      const used = await confirm(token);
      await remove(token, used);
      expect(await remove(token, used)).toMatchObject(asked);
      expect(handled).toHaveLength(1);
    });

    it('is good for one of 50 requests at once', async () => {
      const token = await tokenOf();
      const confirmation = await confirm(token);
      const answers = await Promise.all(
        Array.from({ length: 50 }, async () => String((await remove(token, confirmation)).status)),
      );
      expect(tally(answers)).toEqual({ 200: 1, 401: 49 });
      expect(handled).toHaveLength(1);
    });

    it('is no access token', async () => {
      const token = await tokenOf();
      const confirmation = await confirm(token);
      expect(await remove(confirmation, confirmation)).toMatchObject({
        status: 401,
        body: '{"error":"invalid_token"}',
      });
      expect((await remove(token, confirmation)).status).toBe(200);
    });

    it('must be one', async () => {
      const token = await tokenOf();
      const [one, two] = [await confirm(token), await confirm(token)];
      const ambiguous = { status: 400, body: '{"error":"invalid_request"}' };
      expect(await remove(token, one, { confirmation_token: two })).toMatchObject(ambiguous);
      expect(await remove(token, one, { confirmation_token: one })).toMatchObject(ambiguous);
      expect(await remove(token, one, { confirmation_token: '' })).toMatchObject(ambiguous);
      const raw = await bank.sendRaw(
        [
          'DELETE /bank/account HTTP/1.1',
          'Host: localhost',
          'Connection: close',
          `Authorization: Bearer ${token}`,
          `${HEADER}: ${one}`,
          `${HEADER}: ${two}`,
          '',
          '',
        ].join('\r\n'),
      );
      expect(raw).toMatch(/^HTTP\/1\.1 400 /);
      expect(handled).toEqual([]);
      // None of it was used up.
      expect([(await remove(token, one)).status, (await remove(token, two)).status]).toEqual([
        200, 200,
      ]);
    });

    it.each<readonly [string, (token: string, confirmation: string) => Promise<Answer>]>([
      [
        'the scope is missing',
        async (_, confirmation) => remove(await tokenOf({ scope: 'read' }), confirmation),
      ],
      [
        'the authentication is too old',
        async (_, confirmation) => remove(await tokenOf({ auth_time: 1 }), confirmation),
      ],
      [
        'a policy says no',
        async (token, confirmation) => {
          policy = () => false;
          return remove(token, confirmation);
        },
      ],
      ['there is no token', async (_, confirmation) => remove('', confirmation)],
    ])('is not used up where %s', async (_, refuse) => {
      const token = await tokenOf();
      const confirmation = await confirm(token);
      expect((await refuse(token, confirmation)).status).toBeGreaterThanOrEqual(400);
      policy = () => true;
      expect((await remove(token, confirmation)).status).toBe(200);
      expect(handled).toHaveLength(1);
    });

    it('of a user is none of another, nor of another session', async () => {
      const [token, bob, other] = [
        await tokenOf(),
        await tokenOf({ sub: 'bob' }),
        await tokenOf({ sid: 'session-2' }),
      ];
      const confirmation = await confirm(token);
      expect([
        (await remove(bob, confirmation)).status,
        (await remove(other, confirmation)).status,
        (await remove(token, confirmation)).status,
      ]).toEqual([401, 401, 200]);
    });
  });

  it('says nothing of what it refuses that a client could learn from', async () => {
    const token = await tokenOf();
    const expired = await confirm(token);
    const bodies = new Set<string>();
    for (const text of ['x', expired.slice(0, -1), token, await confirm(token, 'close')]) {
      const { body, headers } = await remove(token, text);
      bodies.add(`${body} ${String(headers['www-authenticate'])}`);
    }
    expect(bodies.size).toBe(1);
    expect((await bank.send('/bank/close', { method: 'POST', token })).status).toBe(401);
  });
});
