#!/usr/bin/env node
/* oxlint-disable no-unused-vars */
// Turns recipe rows (malicious_tokens.jsonl) into compact tokens for one running server.
//   node materialize.mjs rows.jsonl config.json > tokens.jsonl
// No dependencies, Node >= 18. Own work; no third-party code.
// config: { iss, aud, sub, clientId, typ, kid, now?, jti?, livePrivateJwk?, livePublicJwk, retiredKid?, retiredPrivateJwk?,
//           holderPrivateJwk?, attacker?, encPublicJwk?, encKid?, jwksUrl?, canaryUrl?, htm?, htu?, validToken?, otherValidToken?, accessTokenForDpop?, extraClaims? }
// A row whose needs cannot be met is returned as { id, skipped: "needs live_key" }.
import crypto from 'node:crypto';
import zlib from 'node:zlib';
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';

const b64u = (b) => Buffer.from(b).toString('base64url');
const A64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const N256 = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const P256 = BigInt('0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff');
const hex32 = (n) => n.toString(16).padStart(64, '0');
const pub = (j) => {
  const { d, p, q, dp, dq, qi, ...r } = j;
  return r;
};
const keyObj = (j) => crypto.createPrivateKey({ key: j, format: 'jwk' });
export const thumb = (j) => {
  const m =
    j.kty === 'EC'
      ? { crv: j.crv, kty: j.kty, x: j.x, y: j.y }
      : j.kty === 'OKP'
        ? { crv: j.crv, kty: j.kty, x: j.x }
        : { e: j.e, kty: j.kty, n: j.n };
  return crypto.createHash('sha256').update(JSON.stringify(m)).digest('base64url');
};
export function makeEnv(c) {
  const now = c.now ?? Math.floor(Date.now() / 1000);
  const livePub = c.livePublicJwk ?? (c.livePrivateJwk && pub(c.livePrivateJwk));
  const spki = livePub && crypto.createPublicKey({ key: livePub, format: 'jwk' });
  const pem = spki ? spki.export({ type: 'spki', format: 'pem' }) : '';
  return { c, now, livePub, spki, pem, counter: 0 };
}
function subst(s, e) {
  const c = e.c;
  const dict = {
    ISS: c.iss,
    AUD: c.aud,
    SUB: c.sub ?? 'user-1',
    CLIENT: c.clientId ?? 'client-1',
    KID: c.kid,
    TYP: c.typ ?? 'at+jwt',
    RETIRED_KID: c.retiredKid ?? 'retired-1',
    JTI: c.jti ?? 'heldout-' + e.rowId + '-' + (c.nonce ?? '0'),
    JWKS_URL: c.jwksUrl ?? c.iss + '/.well-known/jwks.json',
    CANARY_URL: c.canaryUrl ?? 'http://canary.invalid:9/hit',
    HTM: c.htm ?? 'GET',
    HTU: c.htu ?? c.aud + '/me',
    JKT: c.holderPrivateJwk ? thumb(c.holderPrivateJwk) : '',
    ATTACKER_JKT: c.attacker?.es256 ? thumb(c.attacker.es256) : '',
    ATTACKER_KID: 'attacker-1',
    ENC_KID: c.encKid ?? 'enc-1',
    ATH: c.accessTokenForDpop
      ? crypto.createHash('sha256').update(c.accessTokenForDpop).digest('base64url')
      : crypto.createHash('sha256').update('no-token').digest('base64url'),
    ATTACKER_JWK: c.attacker?.es256
      ? JSON.stringify({ ...pub(c.attacker.es256), kid: 'attacker-1', use: 'sig', alg: 'ES256' })
      : '{}',
    ATTACKER_JWK_PRIVATE: c.attacker?.es256 ? JSON.stringify(c.attacker.es256) : '{}',
    ATTACKER_RSA_JWK: c.attacker?.rsa ? JSON.stringify(pub(c.attacker.rsa)) : '{}',
    ATTACKER_OCT_JWK: JSON.stringify({
      kty: 'oct',
      k: b64u('attacker-secret-attacker-secret-'),
      alg: 'HS256',
    }),
    ATTACKER_X5C: c.attacker?.x5c ?? '',
    HOLDER_JWK: c.holderPrivateJwk ? JSON.stringify(pub(c.holderPrivateJwk)) : '{}',
    HOLDER_JWK_PRIVATE: c.holderPrivateJwk ? JSON.stringify(c.holderPrivateJwk) : '{}',
    LIVE_JWK: e.livePub ? JSON.stringify(e.livePub) : '{}',
  };
  return s
    .replace(/"#(NOW)([+-]\d+)?(\*1000)?(\.\d+)?#"/g, (_, n, d, ms, fr) => {
      let v = e.now + (d ? parseInt(d) : 0);
      if (ms) v *= 1000;
      return String(v) + (fr ?? '');
    })
    .replace(/"#RAW:([^#]*)#"/g, (_, r) => r.replace(/\\"/g, '"'))
    .replace(/\{\{([A-Z_0-9]+)\}\}/g, (m, k) => (k in dict ? dict[k] : m));
}
const fill = (x, raw, e) => subst(raw ?? JSON.stringify(x), e);
function hmacKey(k, e) {
  const j = e.livePub;
  switch (k.kind) {
    case 'text':
      return Buffer.from(subst(k.value, e));
    case 'hex':
      return Buffer.from(k.value, 'hex');
    case 'empty':
      return Buffer.alloc(0);
    case 'pem':
      return Buffer.from(e.pem);
    case 'pem_trim':
      return Buffer.from(e.pem.trim());
    case 'pem_crlf':
      return Buffer.from(e.pem.replace(/\n/g, '\r\n'));
    case 'pem_indent':
      return Buffer.from('  ' + e.pem);
    case 'der':
      return e.spki.export({ type: 'spki', format: 'der' });
    case 'point':
      return Buffer.concat([
        Buffer.from([4]),
        Buffer.from(j.x, 'base64url'),
        Buffer.from(j.y, 'base64url'),
      ]);
    case 'x':
      return Buffer.from(j.x, 'base64url');
    case 'x_text':
      return Buffer.from(j.x);
    case 'jwk_json':
      return Buffer.from(JSON.stringify(j));
    case 'jwks_json':
      return Buffer.from(JSON.stringify({ keys: [j] }));
    case 'pem_body':
      return Buffer.from(e.pem.replace(/-----[^-]+-----|\s/g, ''));
  }
  throw new Error('hmac key ' + k.kind);
}
function rawSign(by, input, row, e) {
  const c = e.c,
    S = row.sign ?? {};
  if (by === 'none') return Buffer.alloc(0);
  if (by === 'hmac')
    return crypto
      .createHmac(S.hash ?? 'sha256', hmacKey(S.key, e))
      .update(input)
      .digest();
  const k = {
    live: c.livePrivateJwk,
    retired: c.retiredPrivateJwk,
    holder: c.holderPrivateJwk,
    attacker_es256: c.attacker?.es256,
    attacker_rsa: c.attacker?.rsa,
    attacker_p384: c.attacker?.p384,
    attacker_p521: c.attacker?.p521,
    attacker_ed25519: c.attacker?.ed25519,
    attacker_k256: c.attacker?.k256,
  }[by];
  if (!k) throw Object.assign(new Error('needs ' + by), { need: by });
  const o = keyObj(k);
  if (k.kty === 'OKP') return crypto.sign(null, Buffer.from(input), o);
  if (k.kty === 'RSA')
    return S.pss
      ? crypto.sign('sha256', Buffer.from(input), {
          key: o,
          padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        })
      : crypto.sign(S.hash ?? 'sha256', Buffer.from(input), o);
  return crypto.sign(
    S.hash ?? { 'P-384': 'sha384', 'P-521': 'sha512' }[k.crv] ?? 'sha256',
    Buffer.from(input),
    { key: o, dsaEncoding: 'ieee-p1363' },
  );
}
function sigText(sig, row, e, input) {
  const op = row.sig ?? { op: 'normal' };
  const num = (t) =>
    hex32(
      {
        0: 0n,
        1: 1n,
        n: N256,
        'n-1': N256 - 1n,
        'n+1': N256 + 1n,
        p: P256,
        max: (1n << 256n) - 1n,
      }[t],
    );
  let s = Buffer.from(sig);
  switch (op.op) {
    case 'normal':
      return b64u(s);
    case 'empty':
      return '';
    case 'raw':
      return op.text;
    case 'flip':
      s[op.byte] ^= 1;
      return b64u(s);
    case 'trunc':
      return b64u(s.subarray(0, op.n));
    case 'append':
      return b64u(Buffer.concat([s, Buffer.from(op.hex, 'hex')]));
    case 'prepend':
      return b64u(Buffer.concat([Buffer.from(op.hex, 'hex'), s]));
    case 'dup':
      return b64u(Buffer.concat([s, s]));
    case 'swap_rs':
      return b64u(Buffer.concat([s.subarray(32), s.subarray(0, 32)]));
    case 'neg_s': {
      const v = N256 - BigInt('0x' + s.subarray(32).toString('hex'));
      return b64u(Buffer.concat([s.subarray(0, 32), Buffer.from(hex32(v), 'hex')]));
    }
    case 'rs':
      return b64u(Buffer.from(num(op.r) + num(op.s), 'hex'));
    case 'der': {
      const i = (b) => {
        let x = Buffer.from(b);
        while (x.length > 1 && x[0] === 0 && x[1] < 128) x = x.subarray(1);
        if (x[0] & 128) x = Buffer.concat([Buffer.from([0]), x]);
        return Buffer.concat([Buffer.from([2, x.length]), x]);
      };
      const q = Buffer.concat([i(s.subarray(0, 32)), i(s.subarray(32))]);
      return b64u(Buffer.concat([Buffer.from([0x30, q.length]), q]));
    }
    case 'b64std': {
      const t = s.toString('base64');
      return t.replace(/=+$/, '');
    }
    case 'pad':
      return b64u(s) + '==';
    case 'insert': {
      const t = b64u(s);
      return t.slice(0, op.at) + op.text + t.slice(op.at);
    }
    case 'noncanonical': {
      const t = b64u(s);
      const l = A64.indexOf(t.at(-1));
      return t.slice(0, -1) + A64[(l & 0x30) | ((l + 1) & 0xf)];
    }
    case 'hex':
      return s.toString('hex');
  }
  throw new Error('sig op ' + op.op);
}
// ---- JWE (ECDH-ES direct + A256GCM) for rows that wrap something for the server's own public encryption key
function concatKdf(z, enc, bits) {
  const len = (b) => {
    const l = Buffer.alloc(4);
    l.writeUInt32BE(b.length);
    return Buffer.concat([l, b]);
  };
  const o = Buffer.concat([
    len(Buffer.from(enc)),
    len(Buffer.alloc(0)),
    len(Buffer.alloc(0)),
    (() => {
      const l = Buffer.alloc(4);
      l.writeUInt32BE(bits);
      return l;
    })(),
  ]);
  const c = Buffer.alloc(4);
  c.writeUInt32BE(1);
  return crypto
    .createHash('sha256')
    .update(Buffer.concat([c, z, o]))
    .digest()
    .subarray(0, bits / 8);
}
function jweEcdhEs(pt, e, extra = {}, tag = 16) {
  const pj = e.c.encPublicJwk;
  if (!pj) throw Object.assign(new Error('needs enc_public_jwk'), { need: 'enc_public_jwk' });
  const eph = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ej = eph.publicKey.export({ format: 'jwk' });
  const hdr = JSON.stringify({
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid: e.c.encKid ?? 'enc-1',
    epk: { kty: 'EC', crv: 'P-256', x: ej.x, y: ej.y },
    ...extra,
  });
  const z = crypto.diffieHellman({
    privateKey: eph.privateKey,
    publicKey: crypto.createPublicKey({ key: pj, format: 'jwk' }),
  });
  const cek = concatKdf(z, 'A256GCM', 256),
    iv = crypto.randomBytes(12),
    h = b64u(hdr);
  const ci = crypto.createCipheriv('aes-256-gcm', cek, iv);
  ci.setAAD(Buffer.from(h));
  const ct = Buffer.concat([ci.update(pt), ci.final()]);
  return [h, '', b64u(iv), b64u(ct), b64u(ci.getAuthTag().subarray(0, tag))].join('.');
}
export function materialize(row, env) {
  const e = { ...env, rowId: row.id };
  try {
    let jws = null;
    if (row.jwe?.raw) return { id: row.id, token: subst(row.jwe.raw, e) };
    if (row.template && !/\{\{(H|P|S)\}\}/.test(row.template)) {
      if (/\{\{VALID\}\}/.test(row.template) && !e.c.validToken)
        throw Object.assign(new Error('x'), { need: 'valid_token' });
      let t = row.template
        .replaceAll('{{VALID}}', e.c.validToken ?? '')
        .replaceAll('{{OTHER_VALID}}', e.c.otherValidToken ?? '');
      const [h, p, s] = (e.c.validToken ?? '..').split('.');
      t = t.replaceAll('{{VH}}', h).replaceAll('{{VP}}', p).replaceAll('{{VS}}', s);
      t = t.replace(/\{\{REPEAT:([^:}]*):(\d+)\}\}/g, (_, x, n) => x.repeat(+n));
      return { id: row.id, token: subst(t, e) };
    }
    const payloadObj =
      row.payload && e.c.extraClaims && !row.no_extra
        ? { ...e.c.extraClaims, ...row.payload }
        : row.payload;
    const h = fill(row.header, row.header_raw, e),
      p = fill(payloadObj, row.payload_raw, e);
    const hb = row.header_hex ? Buffer.from(row.header_hex, 'hex') : Buffer.from(h),
      pb = row.payload_suffix_hex
        ? Buffer.concat([Buffer.from(p), Buffer.from(row.payload_suffix_hex, 'hex')])
        : Buffer.from(p);
    const H = b64u(hb) + (row.h_suffix ?? ''),
      P = b64u(pb) + (row.p_suffix ?? '');
    const input = H + '.' + P;
    const by = row.sign?.by ?? 'live';
    if (by === 'copy') {
      if (!e.c.validToken) throw Object.assign(new Error('x'), { need: 'valid_token' });
      jws = [H, P, e.c.validToken.split('.')[2]];
    } else jws = [H, P, sigText(rawSign(by, input, row, e), row, e, input)];
    let t = row.template
      ? row.template
          .replaceAll('{{H}}', jws[0])
          .replaceAll('{{P}}', jws[1])
          .replaceAll('{{S}}', jws[2])
      : jws.join('.');
    if (row.jwe?.wrap === 'token') t = jweEcdhEs(Buffer.from(t), e, row.jwe.header, row.jwe.tag);
    if (row.jwe?.wrap === 'payload') t = jweEcdhEs(pb, e, row.jwe.header, row.jwe.tag);
    if (row.jwe?.wrap === 'deflate_zeros')
      t = jweEcdhEs(zlib.deflateRawSync(Buffer.alloc(row.jwe.size), { level: 9 }), e, {
        zip: 'DEF',
        ...row.jwe.header,
      });
    if (row.jwe?.wrap === 'twice')
      t = jweEcdhEs(Buffer.from(jweEcdhEs(Buffer.from(t), e, { cty: 'JWT' })), e, { cty: 'JWT' });
    return { id: row.id, token: t };
  } catch (err) {
    if (err.need) return { id: row.id, skipped: 'needs ' + err.need };
    throw err;
  }
}
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , rows, cfg] = process.argv;
  const env = makeEnv(JSON.parse(fs.readFileSync(cfg, 'utf8')));
  for (const l of fs.readFileSync(rows, 'utf8').split('\n'))
    if (l.trim()) {
      const r = JSON.parse(l);
      process.stdout.write(
        JSON.stringify({
          ...materialize(r, env),
          class: r.class,
          slot: r.slot,
          expected: r.expected,
          status: r.status,
        }) + '\n',
      );
    }
}
