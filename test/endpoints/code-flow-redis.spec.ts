import { randomBytes } from 'node:crypto';

import { redisStorage } from '../../lib/storage/redis/redis-storage.js';
import {
  describeWithRedis,
  eventually,
  type RedisServer,
  startRedis,
} from '../support/redis-server.js';
import { recordSecret } from '../support/witness.js';
import { type FlowApp, REQUEST, startCodeFlow, tokensOf, VERIFIER } from './code-flow-app.js';

const KEY = randomBytes(32).toString('base64url');
recordSecret(KEY);

let redis: RedisServer;
const running: FlowApp[] = [];

async function startInstance(): Promise<FlowApp> {
  const storage = redisStorage({ url: redis.url, deadline: '10s' });
  const keys = { encryptionKeys: [KEY] } as const;
  const flow = await startCodeFlow('express', { storage, keys }, 'real');
  flow.login = () => ({ outcome: 'granted', subject: 'alice', authTime: new Date() });
  running.push(flow);
  return flow;
}

/** Everything the server keeps, as text. */
async function dump(): Promise<string> {
  const keys = (await redis.command('KEYS', '*')) as readonly string[];
  const values = await Promise.all(
    keys.map(async (key) => {
      const type = String(await redis.command('TYPE', key));
      const [command, ...rest] = READ[type] ?? ['DUMP'];
      return JSON.stringify(await redis.command(command, key, ...rest));
    }),
  );
  return [...keys, ...values].join('\n');
}

const READ: Readonly<Record<string, readonly [string, ...string[]]>> = {
  hash: ['HGETALL'],
  string: ['GET'],
  zset: ['ZRANGE', '0', '-1'],
  set: ['SMEMBERS'],
  stream: ['XRANGE', '-', '+'],
  list: ['LRANGE', '0', '-1'],
};

describeWithRedis('the code flow over several instances', () => {
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((flow) => flow.close()));
    await redis.stop();
  });

  it('sends codes from one, redeems them at another, and knows them after a restart', async () => {
    const [first, second] = [await startInstance(), await startInstance()];
    const [code, pending] = [await first.code(), await first.code()];
    const tokens = tokensOf(await second.redeem(code));
    await Promise.all(running.splice(0).map((flow) => flow.close()));
    const later = await startInstance();
    expect(await later.me(tokens.access_token)).toBe(200);
    expect((await later.redeem(pending)).status).toBe(200);
    expect((await later.redeem(code)).status).toBe(400);
    expect(await later.me(tokens.access_token)).toBe(401);
    expect((await later.refresh(tokens.refresh_token)).status).toBe(400);
  });

  it('lets a code start one session at most, whichever instances it is used at', async () => {
    const flows = [await startInstance(), await startInstance(), await startInstance()] as const;
    for (let round = 0; round < 10; round++) {
      const code = await flows[0].code();
      const seventeen = Array.from({ length: 17 });
      const answers = await Promise.all(
        seventeen.flatMap(() => flows.map((flow) => flow.redeem(code))),
      );
      const good = answers.filter(({ status }) => status === 200);
      expect(good.length).toBeLessThanOrEqual(1);
      expect(answers.filter(({ status }) => status === 400).length).toBe(51 - good.length);
      for (const answer of good) {
        const { access_token: token } = tokensOf(answer);
        for (const flow of flows) {
          await eventually('the token dies', async () => (await flow.me(token)) === 401);
        }
      }
    }
  });

  it('keeps nothing at rest that a code or a token could be made of', async () => {
    const flow = await startInstance();
    const pending = await flow.code();
    const tokens = tokensOf(await flow.redeem(await flow.code()));
    const kept = await dump();
    expect(kept.length).toBeGreaterThan(1_000);
    const told = [pending, tokens.refresh_token].map((text) => text.slice(4));
    for (const secret of told) {
      for (let at = 0; at + 16 < secret.length; at++) {
        expect(kept).not.toContain(secret.slice(at, at + 16));
      }
    }
    for (const word of [VERIFIER, String(REQUEST['code_challenge']), 'alice', 'transfers:write']) {
      expect(kept).not.toContain(word);
    }
  });
});
