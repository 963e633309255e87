import { TOTP, URI } from 'otpauth';

import { TotpFactor } from '../../sample-app/auth/totp-factor.js';
import { ADAPTERS } from '../support/guarded-app.js';
import { type Answer, closeConnections, send } from '../support/http.js';
import { recordSecret } from '../support/witness.js';
import { type Login, tokenOf } from './log-in.js';
import { type RunningLedger, startLedger } from './running-ledger.js';

afterAll(closeConnections);

const PASSWORD = 'alice-demo';
const STEP = 30_000;

/** What the user's phone makes of the URI. */
function phoneWith(uri: string): TOTP {
  const totp = URI.parse(uri);
  if (!(totp instanceof TOTP)) throw new Error('it is no TOTP');
  recordSecret(totp.secret.base32);
  return totp;
}

/** The code it shows so many steps from now. */
const codeOf = (phone: TOTP, steps = 0): string =>
  phone.generate({ timestamp: Date.now() + steps * STEP });

/** A code that is right neither now nor a step before or after. */
function wrongCodeOf(phone: TOTP): string {
  const right = [-2, -1, 0, 1, 2].map((steps) => codeOf(phone, steps));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find(
    (code) => !right.includes(code),
  )!;
}

describe.each(ADAPTERS)('an authenticator app at the sample app on %s', (adapter) => {
  let ledger: RunningLedger;
  let token: string;
  beforeEach(async () => {
    ledger = await startLedger(adapter);
    token = await tokenOf(ledger.url, 'alice');
  });
  afterEach(() => ledger.close());

  const stepUp = async (body: object, by = token): Promise<Answer> =>
    send(ledger.url, '/auth/step-up', {
      method: 'POST',
      token: by,
      body: { password: PASSWORD, ...body },
      handsOutTokens: 'yes',
    });
  const confirmed = async (code?: string): Promise<string> => {
    const { body } = await stepUp({
      action: 'enroll_totp',
      ...(code === undefined ? {} : { code }),
    });
    const { confirmation_token } = JSON.parse(body) as { confirmation_token: string };
    recordSecret(confirmation_token);
    return confirmation_token;
  };
  const enrol = async (confirmation?: string): Promise<Answer> =>
    send(ledger.url, '/auth/totp', {
      method: 'POST',
      token,
      handsOutTokens: 'yes',
      ...(confirmation === undefined ? {} : { headers: { 'X-Confirmation-Token': confirmation } }),
    });
  const enrolled = async (): Promise<TOTP> => {
    const answer = await enrol(await confirmed());
    expect(answer.status).toBe(201);
    return phoneWith((JSON.parse(answer.body) as { otpauth_uri: string }).otpauth_uri);
  };
  const claimsAfter = (answer: Answer): Readonly<Record<string, unknown>> => {
    const { access_token, refresh_token } = JSON.parse(answer.body) as Login;
    recordSecret(access_token);
    recordSecret(refresh_token);
    token = access_token;
    const [, payload = ''] = access_token.split('.');
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as object as Readonly<
      Record<string, unknown>
    >;
  };

  it('is enrolled once, by who confirms it with the password', async () => {
    expect(await enrol()).toMatchObject({
      status: 401,
      body: '{"error":"insufficient_user_authentication"}',
    });
    const phone = await enrolled();
    expect(phone.issuer).toBe('ledger');
    expect(phone.label).toBe('alice');
    expect(phone.secret.buffer.byteLength).toBe(20);
    const again = await enrol(await confirmed(codeOf(phone)));
    expect(again).toMatchObject({ status: 409, body: '{"error":"already_enrolled"}' });
    expect(ledger.logs().join('\n')).not.toContain(phone.secret.base32);
  });

  it('asks for its code from then on, and the token says so', async () => {
    expect(claimsAfter(await stepUp({}))).toMatchObject({
      acr: 'urn:ledger:acr:pwd',
      amr: ['pwd'],
    });
    const phone = await enrolled();
    expect(await stepUp({})).toMatchObject({ status: 403, body: '{"error":"code_required"}' });
    const answer = await stepUp({ code: codeOf(phone) });
    expect(answer.status).toBe(200);
    expect(claimsAfter(answer)).toMatchObject({
      acr: 'urn:ledger:acr:mfa',
      amr: ['pwd', 'otp'],
    });
  });

  it('asks nothing of other users, and takes no code of who has none', async () => {
    const phone = await enrolled();
    const bob = await tokenOf(ledger.url, 'bob');
    const refused = { status: 403, body: '{"error":"invalid_grant"}' };
    const body = { password: 'bob-demo', code: codeOf(phone) };
    expect(await stepUp(body, bob)).toMatchObject(refused);
    const answer = await stepUp({ password: 'bob-demo' }, bob);
    expect(answer.status).toBe(200);
    recordSecret((JSON.parse(answer.body) as Login).access_token);
    recordSecret((JSON.parse(answer.body) as Login).refresh_token);
  });

  it('takes each code once, and the next one', async () => {
    const phone = await enrolled();
    const code = codeOf(phone);
    expect((await stepUp({ code, action: 'delete_account' })).status).toBe(200);
    for (const spelling of [code, `${code.slice(0, 3)} ${code.slice(3)}`]) {
      const body = { code: spelling, action: 'delete_account' };
      expect(await stepUp(body)).toMatchObject({ status: 403, body: '{"error":"invalid_grant"}' });
    }
    const next = { code: codeOf(phone, 1), action: 'delete_account' };
    expect((await stepUp(next)).status).toBe(200);
  });

  it('takes one of 5 uses of a code at once', async () => {
    const phone = await enrolled();
    const body = { code: codeOf(phone), action: 'delete_account' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => stepUp(body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(4);
  });

  it('answers a wrong code as a wrong password, and does not look at a sixth', async () => {
    const phone = await enrolled();
    const refused = { status: 403, body: '{"error":"invalid_grant"}' };
    const code = wrongCodeOf(phone);
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await stepUp({ code })).toMatchObject(refused);
    }
    const limited = await stepUp({ code: codeOf(phone) });
    expect(limited).toMatchObject({ status: 429, body: '{"error":"too_many_requests"}' });
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(limited.headers['retry-after'])).toBeLessThanOrEqual(900);
    // Nothing is wrong with the token.
    expect((await send(ledger.url, '/me', { token })).status).toBe(200);
  });

  it('does not ask for a code of who has the wrong password', async () => {
    const phone = await enrolled();
    const refused = { status: 403, body: '{"error":"invalid_grant"}' };
    expect(await stepUp({ password: 'bob-demo' })).toMatchObject(refused);
    expect(await stepUp({ password: 'bob-demo', code: codeOf(phone) })).toMatchObject(refused);
    // Nor is the code used up by it.
    expect((await stepUp({ code: codeOf(phone), action: 'delete_account' })).status).toBe(200);
  });
});

describe('a code', () => {
  it.each([
    ['nothing', ''],
    ['five digits', '12345'],
    ['seven digits', '1234567'],
    ['letters', 'abcdef'],
    ['a sign', '+12345'],
    ['digits of another script', '１２３４５６'],
    ['a fraction', '1234.6'],
  ])('is not %s', async (_, code) => {
    const totp = new TotpFactor();
    totp.enrol('alice');
    await expect(totp.verify({ subject: 'alice', code })).resolves.toBeNull();
  });

  it('is that of one user, for its step and for the one before and after it', async () => {
    const totp = new TotpFactor();
    const phone = phoneWith(totp.enrol('alice') ?? '');
    expect(phoneWith(totp.enrol('bob') ?? '').secret.base32).not.toBe(phone.secret.base32);
    const code = codeOf(phone);
    await expect(totp.verify({ subject: 'alice', code })).resolves.toMatchObject({
      amr: ['pwd', 'otp'],
    });
    await expect(totp.verify({ subject: 'carol', code })).resolves.toBeNull();
    totp.forget('alice');
    await expect(totp.verify({ subject: 'alice', code })).resolves.toBeNull();
  });
});
