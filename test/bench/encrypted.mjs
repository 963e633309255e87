/**
 * What encryption costs the first sight of a token, beside one that is only signed, and nothing the
 * sights after. In one process, round by round, so that whatever the machine does meanwhile happens
 * to both. `node test/bench/encrypted.mjs` with a built package.
 */
import 'reflect-metadata';

import { NestFactory } from '@nestjs/core';
import { JwtHardeningModule, TokenService } from 'nest-jwt-hardening';

import { median } from './statistics.mjs';

const ROUNDS = 21;
const TOKENS = 200;
const CACHED = 20_000;

const CLAIMS = {
  sub: 'user-4711',
  scope: 'orders:read orders:write profile',
  roles: ['customer', 'editor'],
  client_id: 'web',
};

async function open(encryption, verifiedCache) {
  const tokens = { encryption, verifiedCache };
  const options = { issuer: 'https://issuer.example', audience: 'https://api.example', tokens };
  const app = await NestFactory.createApplicationContext(JwtHardeningModule.forRoot(options), {
    logger: false,
  });
  const service = app.get(TokenService);
  const texts = [];
  for (let index = 0; index < TOKENS; index++) texts.push((await service.sign(CLAIMS)).token);
  return { app, service, texts };
}

/** Microseconds of processor time a call takes on average. */
async function cost(times, call) {
  const before = process.cpuUsage();
  for (let index = 0; index < times; index++) await call(index);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

const firstSight = ({ service, texts }) => cost(TOKENS, (index) => service.verify(texts[index]));
const again = ({ service, texts }) => cost(CACHED, () => service.verify(texts[0]));
const signing = ({ service }) => cost(TOKENS, () => service.sign(CLAIMS));

async function compare(name, measure, cache) {
  const signed = await open(null, cache);
  const encrypted = await open({}, cache);
  const samples = { signed: [], encrypted: [], ratio: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? ['signed', 'encrypted'] : ['encrypted', 'signed'];
    const sample = {};
    for (const variant of order) {
      sample[variant] = await measure(variant === 'signed' ? signed : encrypted);
    }
    if (round === 0) continue;
    for (const variant of order) samples[variant].push(sample[variant]);
    samples.ratio.push(sample.encrypted / sample.signed);
  }
  await signed.app.close();
  await encrypted.app.close();
  const [one, two, ratio] = ['signed', 'encrypted', 'ratio'].map((key) => median(samples[key]));
  const us = (value) => `${value.toFixed(1)} us`;
  console.log(`${name}: signed ${us(one)}, encrypted ${us(two)}, ratio ${ratio.toFixed(2)}`);
}

await compare('first sight', firstSight, null);
await compare('cached', again, { maxEntries: 1000 });
await compare('issuing', signing, null);
