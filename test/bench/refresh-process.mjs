/**
 * `node refresh-process.mjs <url> <server's pid> <rounds> <milliseconds>`: refreshes sessions in Redis, so many at a
 * time, beside what none of it can do without: the script that rotates, and one signature. All in one
 * process, in turn; answers how many there were in each round.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtHardeningModule, SessionService } from 'nest-jwt-hardening';
import { redisStorage } from 'nest-jwt-hardening/redis';

import { openClient } from '../../dist/storage/redis/redis-clients.js';
import { CREATE, ROTATE } from '../../dist/storage/redis/session-scripts.js';
import { takePace } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';

/** How many are under way at any time. */
const IN_FLIGHT = 100;

/** How often each is done before it counts. */
const WARM_UP = 15_000;

const DAY = 86_400_000;
const OWNER = 'o'.repeat(22);
/** As long as a sealed successor, and as what a session's first token says. */
const SEALED = 's'.repeat(80);
const DATA = 'd'.repeat(400);
const CLAIMS = { scope: 'accounts:read transfers:write', roles: ['user'] };

const [url, server, rounds, milliseconds] = process.argv.slice(2);
const redis = openClient({ url });
await redis.connect();
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signed = { key: privateKey, dsaEncoding: 'ieee-p1363' };
const input = Buffer.alloc(560, 'x');

function BenchModule() {}
Module({
  imports: [
    JwtHardeningModule.forRoot({
      issuer: 'https://issuer.example',
      audience: 'api',
      // Patient, because it is not measured how an instance waits for a machine that is busy otherwise.
      storage: redisStorage({ url, keyPrefix: `bench-${process.pid}:`, deadline: '5s' }),
      keys: { encryptionKeys: randomBytes(32).toString('base64url') },
    }),
  ],
})(BenchModule);
const app = await NestFactory.createApplicationContext(BenchModule, {
  logger: false,
  abortOnError: false,
});
const sessions = app.get(SessionService);

/** A secret nobody has to guess. */
const secretAt = (lane, number) => `${lane}-${number}`.padEnd(43, '-');

const rotations = await lanes(async (lane) => {
  const id = String(lane).padEnd(43, '-');
  const keys = ['session', 'sessions', 'ended'].map(
    (name) => `bare-${process.pid}:${name}:{${OWNER}}:${id}`,
  );
  const lineage = secretAt(lane, 'lineage');
  const create = [id, lineage, secretAt(lane, 0), '', DATA, DAY, DAY, 1];
  await redis.eval(CREATE.text, keys.length, ...keys, ...create);
  let number = 0;
  const rotate = (how, script) => {
    const args = [id, lineage, secretAt(lane, number++), '', secretAt(lane, number), SEALED, ''];
    return redis[how](script, keys.length, ...keys, ...args, 10_000, '');
  };
  await rotate('eval', ROTATE.text);
  return () => rotate('evalsha', ROTATE.sha);
});

const refreshes = await lanes(async (lane) => {
  let { refreshToken } = await sessions.start(`user-${lane}`, CLAIMS);
  return async () => {
    ({ refreshToken } = await sessions.refresh(refreshToken));
  };
});

const inPool = () =>
  new Promise((resolve, reject) => {
    sign('sha256', input, signed, (error, done) =>
      error === null ? resolve(done) : reject(error),
    );
  });

/** What each of them does over and over again, by lane. */
const VARIANTS = {
  ping: () => redis.ping(),
  script: (lane) => rotations[lane](),
  'script, signature in the pool': async (lane) => {
    await rotations[lane]();
    await inPool();
  },
  'script, signature at once': async (lane) => {
    await rotations[lane]();
    sign('sha256', input, signed);
  },
  refresh: (lane) => refreshes[lane](),
};

// Not counted: until everything is compiled, on a machine that is busy otherwise too.
for (const work of Object.values(VARIANTS)) await warmUp(work);

const usedSoFar = () => readProcess(process.pid).all + readProcess(server).all;
const before = { machine: readMachine(), used: usedSoFar() };
const startedAt = process.hrtime.bigint();
const samples = Object.fromEntries(Object.keys(VARIANTS).map((name) => [name, []]));
for (let round = 0; round < Number(rounds); round++) {
  const order = Object.entries(VARIANTS);
  for (const [name, work] of round % 2 === 0 ? order : order.toReversed()) {
    samples[name].push(await measure(work));
  }
}
const wall = Number(process.hrtime.bigint() - startedAt);
const others = (readMachine() - before.machine - (usedSoFar() - before.used)) / wall;
const result = { samples, pace: takePace(), others: Math.max(0, others) };
process.send(result, () => process.exit());

async function lanes(open) {
  return Promise.all(Array.from({ length: IN_FLIGHT }, (_, lane) => open(lane)));
}

async function warmUp(work) {
  let left = WARM_UP;
  await lanes(async (lane) => {
    while (left-- > 0) await work(lane);
  });
}

/** How many a second, and the processor time in microseconds that each took, by who spent it. */
async function measure(work) {
  const before = { ...readProcess(process.pid), server: readProcess(server).all };
  const beganAt = performance.now();
  const endsAt = beganAt + Number(milliseconds);
  let done = 0;
  await lanes(async (lane) => {
    while (performance.now() < endsAt) {
      await work(lane);
      done++;
    }
  });
  const took = performance.now() - beganAt;
  const after = { ...readProcess(process.pid), server: readProcess(server).all };
  const spent = (who) => (after[who] - before[who]) / 1e3 / done;
  return {
    perSecond: (done / took) * 1_000,
    main: spent('main'),
    all: spent('all'),
    server: spent('server'),
  };
}
