/** A signing key and the tokens the load carries, issued by the package under test itself. */
import 'reflect-metadata';

import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';

import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtHardeningModule, TokenService } from 'nest-jwt-hardening';

import { SCOPE } from './variants.mjs';

export function newIdentity() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    issuer: 'https://issuer.example',
    audience: 'https://api.example',
    privateJwk: { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', kid: randomUUID() },
    publicPem: createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }),
  };
}

/** Distinct access tokens of about 640 characters that outlive the run. */
export async function issueTokens({ issuer, audience, privateJwk }, count) {
  function BenchModule() {}
  Module({
    imports: [JwtHardeningModule.forRoot({ issuer, audience, keys: { signingKey: privateJwk } })],
  })(BenchModule);
  const app = await NestFactory.createApplicationContext(BenchModule, { logger: false });
  const service = app.get(TokenService);
  const issued = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      service.sign(
        {
          sub: `user-${index}`,
          client_id: 'web',
          sid: randomUUID(),
          scope: ['accounts:read', SCOPE, 'profile:read'],
          roles: ['customer'],
          permissions: ['accounts.list', 'accounts.open'],
        },
        { ttl: '1h' },
      ),
    ),
  );
  await app.close();
  return issued.map(({ token }) => token);
}
