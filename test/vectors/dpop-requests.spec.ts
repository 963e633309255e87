import { Controller, Get } from '@nestjs/common';
import { calculateJwkThumbprint } from 'jose';

import { CurrentToken } from '../../lib/guard/decorators.js';
import { SessionService } from '../../lib/sessions/session.service.js';
import type { VerifiedToken } from '../../lib/tokens/verified-token.js';
import { ADAPTERS, type GuardedApp, startGuardedApp } from '../support/guarded-app.js';
import { HttpLine, type LineAnswer } from '../e2e/http-line.js';
import { recordSecret } from '../support/witness.js';
import { isHeaderValue } from './arena.js';
import { materializeAll, newProofHolder, ROWS } from './dpop-rows.js';

/** The rows of the malicious sample that are about proofs, against a real HTTP application. */

const API = 'https://api.heldout.test';

@Controller()
class MeController {
  @Get('me')
  me(@CurrentToken() token: VerifiedToken): object {
    return { sub: token.subject };
  }
}

const PROOFS = ROWS.filter(({ slot }) => slot === 'dpop');

describe.each(ADAPTERS)('malicious sample of proofs on %s', (adapter) => {
  /** That of the host, by which the storage goes. */
  const clock = { seconds: () => Math.floor(Date.now() / 1000) };
  const holder = newProofHolder();
  let app: GuardedApp;
  let token: string;

  beforeAll(async () => {
    const options = {
      audience: API,
      binding: { dpop: { publicUrls: [API], nonce: null } },
    } as const;
    app = await startGuardedApp([MeController], { adapter, options });
    const value = await calculateJwkThumbprint(holder);
    const pair = await app.app
      .get(SessionService)
      .start('user-1', { binding: { kind: 'dpop', value } });
    for (const secret of [pair.accessToken, pair.refreshToken]) recordSecret(secret);
    token = pair.accessToken;
  });

  afterAll(async () => {
    await app.close();
  });

  let rounds = 0;

  /** New ones each time: what was used once is no proof any more. */
  function proofsFor(...ids: readonly string[]): readonly string[] {
    const round = String(rounds++);
    const made = materializeAll({ audience: API, clock, holder, token, round });
    return ids.map((id) => made.get(id) ?? '');
  }

  /** On the wire byte for byte. */
  async function show(proofs: readonly string[], scheme = 'DPoP'): Promise<LineAnswer> {
    const line = new HttpLine(Number(new URL(app.url).port));
    const head = [`Authorization: ${scheme} ${token}`, ...proofs.map((proof) => `DPoP: ${proof}`)];
    try {
      return await line.ask('GET /me', head);
    } finally {
      line.close();
    }
  }

  it.each(PROOFS)('$id $name is $expected', async ({ id, status }) => {
    const answer = await show(proofsFor(id));
    expect(status).toContain(answer.status);
  });

  it('H048: two right proofs are refused', async () => {
    expect(await show(proofsFor('T293', 'T294'))).toMatchObject({ status: 401 });
    // As one line, too.
    expect(await show([proofsFor('T293', 'T294').join(', ')])).toMatchObject({ status: 401 });
  });

  it('a right proof is no help to a token that comes as Bearer', async () => {
    expect(await show(proofsFor('T293'), 'Bearer')).toMatchObject({ status: 401 });
    expect(await show([])).toMatchObject({ status: 401 });
  });

  it('a right proof passes once', async () => {
    const proof = proofsFor('T293');
    expect(await show(proof)).toMatchObject({ status: 200, text: '{"sub":"user-1"}' });
    expect(await show(proof)).toMatchObject({ status: 401 });
  });

  it('every row of the sample in place of a proof gets the same answer', async () => {
    const refused = ROWS.filter(({ slot, expected }) => slot !== 'dpop' || expected === 'reject');
    const faces = new Set<string>();
    for (const proof of proofsFor(...refused.map(({ id }) => id))) {
      // What the HTTP parser refuses never reaches the application.
      if (!isHeaderValue(proof) || proof.length > 8_192) continue;
      const { status, headers, text } = await show([proof]);
      faces.add(`${status} ${headers('www-authenticate')} ${text}`);
    }
    const algs = 'ES256 Ed25519 EdDSA PS256 RS256';
    expect([...faces]).toEqual([
      `401 DPoP error="invalid_dpop_proof", algs="${algs}" {"error":"invalid_dpop_proof"}`,
    ]);
  });
});
