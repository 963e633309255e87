/** `node boot-process.mjs <adapter> <kind>`: starts an application and tells how long it took. */
import 'reflect-metadata';

import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

import { newAdapter } from './adapters.mjs';

const OPTIONS = { issuer: 'https://issuer.example', audience: 'https://api.example' };

/** By name: what the application imports. */
const IMPORTS = {
  empty: () => [],
  'import only': async () => {
    await import('nest-jwt-hardening');
    return [];
  },
  forRoot: async () => {
    const { JwtHardeningModule } = await import('nest-jwt-hardening');
    return [JwtHardeningModule.forRoot(OPTIONS)];
  },
  'forRoot, key of your own': async () => {
    const { JwtHardeningModule } = await import('nest-jwt-hardening');
    const { generateKeyPairSync } = await import('node:crypto');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signingKey = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256' };
    return [JwtHardeningModule.forRoot({ ...OPTIONS, keys: { signingKey } })];
  },
};

const [adapter, kind] = process.argv.slice(2);

function BootModule() {}
Module({ imports: await IMPORTS[kind]() })(BootModule);
const app = await NestFactory.create(BootModule, await newAdapter(adapter), { logger: false });
await app.listen(0, '127.0.0.1');

// Both count from the start of the process.
const { user, system } = process.cpuUsage();
process.send({ wall: performance.now(), cpu: (user + system) / 1e3 }, () => process.exit());
