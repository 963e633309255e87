/**
 * Checks tokens seen before, as the guard does, in four states of the revocations, round about in one
 * process: never asked, nothing revoked, a million revoked, and a million with one more before every
 * round, so that each token is asked for anew.
 */
import 'reflect-metadata';

import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtHardeningModule, RevocationService, TokenService } from 'nest-jwt-hardening';

import { takePace } from './pace.mjs';
import { readMachine, readProcess } from './processor-time.mjs';
import { revokedElsewhere } from './revocation-request.mjs';
import { median } from './statistics.mjs';

const TOKENS = 1_000;
const TIMES = 40;
const ROUNDS = 30;
const WARM_UP = 5;

async function application(options) {
  function BenchModule() {}
  Module({
    imports: [
      JwtHardeningModule.forRoot({ issuer: 'https://issuer', audience: 'api', ...options }),
    ],
  })(BenchModule);
  const app = await NestFactory.createApplicationContext(BenchModule, { logger: false });
  const service = app.get(TokenService);
  const tokens = [];
  for (let number = 0; number < TOKENS; number++) {
    const claims = { sub: `user-${number}`, sid: `session-${number}` };
    const { token } = await service.sign(claims, { ttl: '1h' });
    // From here on it is one that was seen before.
    await service.verify(token);
    tokens.push(token);
  }
  return { app, check: (token) => service.check(token, 'access'), tokens };
}

const unasked = await application({});
unasked.app.get(RevocationService).assertStands = () => {};
const { storage, revokeOne } = await revokedElsewhere(0);
const revoked = await application({ storage });

const STATES = {
  'never asked': { ...unasked, prepare: () => {} },
  'nothing revoked': { ...(await application({})), prepare: () => {} },
  '1 M revoked': { ...revoked, prepare: () => {} },
  '1 M revoked, one more each time': { ...revoked, prepare: revokeOne },
};

/** Microseconds of the main thread per check. */
function round({ check, tokens, prepare }) {
  const before = readProcess(process.pid).main;
  for (let time = 0; time < TIMES; time++) {
    prepare();
    for (const token of tokens) check(token);
  }
  return (readProcess(process.pid).main - before) / (TIMES * TOKENS) / 1e3;
}

const before = { machine: readMachine(), own: readProcess(process.pid).all };
const beganAt = process.hrtime.bigint();
const names = Object.keys(STATES);
const samples = new Map(names.map((name) => [name, []]));
const paces = [];
for (let number = -WARM_UP; number < ROUNDS; number++) {
  for (const name of number % 2 === 0 ? names : names.toReversed()) {
    const sample = round(STATES[name]);
    if (number >= 0) samples.get(name).push(sample);
  }
  if (number >= 0 && number % 5 === 0) paces.push(takePace());
}
const wall = Number(process.hrtime.bigint() - beganAt);
const others = readMachine() - before.machine - (readProcess(process.pid).all - before.own);
const result = {
  microseconds: Object.fromEntries(names.map((name) => [name, median(samples.get(name))])),
  pace: median(paces),
  others: Math.max(0, others / wall),
};
process.send(result, () => process.exit());
