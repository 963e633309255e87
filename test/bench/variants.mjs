/**
 * What stands before the same route in each server under test. Every guard is global, as ours is,
 * and every one that reads the token also checks issuer, audience, algorithm and scope.
 */
import { createPublicKey, verify } from 'node:crypto';

import { Controller, ForbiddenException, Get, UnauthorizedException } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';

import { REVOCATION_VARIANTS } from './revocation-request.mjs';

export const SCOPE = 'bench:read';

/** More than the tokens in circulation, so that a cached token stays cached. */
const ROOMY_CACHE = 20_000;

/** By name: what the module of the server adds to the bare application. */
export const VARIANTS = {
  /** No guard at all. */
  open: () => ({}),

  /** The floor of any guard. */
  empty: () => guardedBy({ canActivate: () => true }),

  'prepared string': () => preparedString(),

  /** The same as any public route of an application with the module: behind its guard. */
  'prepared string, public': (identity) => publicString(identity),

  'ours, JWKS': (identity) => jwks(identity),

  'ours, cached': (identity) => ours(identity, { maxEntries: ROOMY_CACHE }),

  /** The pool is ten times as large as the cache and used in a circle: nothing is ever found. */
  'ours, small cache': (identity) => ours(identity, { maxEntries: 1_000 }),

  'ours, no cache': (identity) => ours(identity, null),

  ...Object.fromEntries(
    Object.entries(REVOCATION_VARIANTS).map(([name, prepare]) => [
      name,
      async (identity) => ours(identity, { maxEntries: ROOMY_CACHE }, await prepare()),
    ]),
  ),

  /** What any guard on node:crypto's thread pool costs at least: nothing strict about it. */
  'node:crypto, minimal': ({ issuer, audience, publicPem }) => {
    const key = { key: createPublicKey(publicPem), dsaEncoding: 'ieee-p1363' };
    return guardedBy({
      canActivate(context) {
        const request = context.switchToHttp().getRequest();
        const token = bearerToken(request);
        const [header, payload, signature] = token.split('.');
        const input = Buffer.from(`${header}.${payload}`);
        const { alg } = JSON.parse(Buffer.from(header, 'base64url'));
        return new Promise((resolve, reject) => {
          verify('sha256', input, key, Buffer.from(signature, 'base64url'), (error, valid) => {
            const claims = JSON.parse(Buffer.from(payload, 'base64url'));
            const accepted =
              error === null &&
              valid &&
              alg === 'ES256' &&
              claims.iss === issuer &&
              claims.aud === audience &&
              claims.exp > Date.now() / 1000;
            if (!accepted) return reject(new UnauthorizedException());
            request.user = demandScope(claims);
            return resolve(true);
          });
        });
      },
    });
  },

  jose: async ({ issuer, audience, publicPem }) => {
    const { importSPKI, jwtVerify } = await import('jose');
    const key = await importSPKI(publicPem, 'ES256');
    const options = { algorithms: ['ES256'], issuer, audience };
    return guardedBy({
      async canActivate(context) {
        const request = context.switchToHttp().getRequest();
        const { payload } = await jwtVerify(bearerToken(request), key, options);
        request.user = demandScope(payload);
        return true;
      },
    });
  },

  'fast-jwt, cached': (identity) => fastJwt(identity, ROOMY_CACHE),

  'fast-jwt, no cache': (identity) => fastJwt(identity, 0),

  /** The guard of the Nest documentation (Security, Authentication), with a public key in PEM. */
  '@nestjs/jwt': async ({ issuer, audience, publicPem }) => {
    const { JwtModule, JwtService } = await import('@nestjs/jwt');
    const guard = (jwtService) => ({
      async canActivate(context) {
        const request = context.switchToHttp().getRequest();
        const token = bearerToken(request);
        if (!token) throw new UnauthorizedException();
        try {
          request.user = await jwtService.verifyAsync(token);
        } catch {
          throw new UnauthorizedException();
        }
        demandScope(request.user);
        return true;
      },
    });
    return {
      imports: [
        JwtModule.register({
          publicKey: publicPem,
          verifyOptions: { algorithms: ['ES256'], issuer, audience },
        }),
      ],
      providers: [{ provide: APP_GUARD, useFactory: guard, inject: [JwtService] }],
    };
  },

  'passport-jwt': async ({ issuer, audience, publicPem }) => {
    const { AuthGuard, PassportStrategy } = await import('@nestjs/passport');
    const { ExtractJwt, Strategy } = (await import('passport-jwt')).default;
    const JwtAuthGuard = AuthGuard('jwt');
    class JwtStrategy extends PassportStrategy(Strategy) {
      constructor() {
        super({
          jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
          secretOrKey: publicPem,
          algorithms: ['ES256'],
          issuer,
          audience,
        });
      }

      validate(payload) {
        return demandScope(payload);
      }
    }
    return {
      providers: [JwtStrategy, { provide: APP_GUARD, useValue: new JwtAuthGuard() }],
    };
  },
};

/** A route that does nothing but return a text as long as a JWKS of one key. */
function preparedString(...decorators) {
  const text = 'x'.repeat(240);
  class StringController {
    read() {
      return text;
    }
  }
  const method = Object.getOwnPropertyDescriptor(StringController.prototype, 'read');
  for (const decorate of [Get(), ...decorators]) {
    decorate(StringController.prototype, 'read', method);
  }
  Controller('bench')(StringController);
  return { controllers: [StringController] };
}

async function publicString({ issuer, audience }) {
  const { JwtHardeningModule, Public } = await import('nest-jwt-hardening');
  const options = { issuer, audience, jwksPath: null };
  return { ...preparedString(Public()), imports: [JwtHardeningModule.forRoot(options)] };
}

/** The JWKS in place of the route. */
async function jwks({ issuer, audience }) {
  const { JwtHardeningModule } = await import('nest-jwt-hardening');
  const options = { issuer, audience, jwksPath: '/bench' };
  return { controllers: [], imports: [JwtHardeningModule.forRoot(options)] };
}

async function ours({ issuer, audience, privateJwk }, verifiedCache, options = {}) {
  const { JwtHardeningModule, Scopes } = await import('nest-jwt-hardening');
  return {
    imports: [
      JwtHardeningModule.forRoot({
        issuer,
        audience,
        keys: { signingKey: privateJwk },
        tokens: { verifiedCache },
        ...options,
      }),
    ],
    decorators: [Scopes(SCOPE)],
  };
}

async function fastJwt({ issuer, audience, publicPem }, cache) {
  const { createVerifier } = await import('fast-jwt');
  const verifyToken = createVerifier({
    key: createPublicKey(publicPem).export({ format: 'pem', type: 'spki' }),
    algorithms: ['ES256'],
    allowedIss: issuer,
    allowedAud: audience,
    cache: cache === 0 ? false : cache,
  });
  return guardedBy({
    canActivate(context) {
      const request = context.switchToHttp().getRequest();
      request.user = demandScope(verifyToken(bearerToken(request)));
      return true;
    },
  });
}

function guardedBy(guard) {
  return { providers: [{ provide: APP_GUARD, useValue: guard }] };
}

function bearerToken(request) {
  const [type, token] = request.headers.authorization?.split(' ') ?? [];
  return type === 'Bearer' ? token : undefined;
}

function demandScope(payload) {
  if (!payload.scope.split(' ').includes(SCOPE)) throw new ForbiddenException();
  return payload;
}
