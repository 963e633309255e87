import { isJsonObject, parseStrictJson } from '../../lib/kernel/strict-json.js';
import { readStatusClaim, type StatusClaimRules } from '../../lib/status-list/status-reference.js';
import type { VerifiedClaims } from '../../lib/tokens/claims.js';

const RULES: StatusClaimRules = {
  origins: new Map([
    ['https://issuer.example', null],
    ['https://lists.example:8443', null],
  ]),
};
const URI = 'https://issuer.example/status-lists/1';

function claimsWith(status: string | undefined): VerifiedClaims {
  const claims = { iss: 'https://issuer.example', sub: 'a', aud: 'b', exp: 2, iat: 1, jti: 'c' };
  if (status === undefined) return claims;
  const parsed = parseStrictJson(Buffer.from(`{"status":${status}}`));
  if (!isJsonObject(parsed)) throw new Error(parsed);
  return { ...claims, ...parsed };
}

const place = (idx: string, uri = JSON.stringify(URI)): string =>
  `{"status_list":{"idx":${idx},"uri":${uri}}}`;

describe('the claim status', () => {
  it('need not be there', () => {
    expect(readStatusClaim(claimsWith(undefined), RULES)).toBeUndefined();
  });

  it.each(['null', 'false', '0', '"active"', '[]'])(
    'may be a word of the issuer about something else: %s',
    (status) => {
      expect(readStatusClaim(claimsWith(status), RULES)).toBeUndefined();
    },
  );

  it.each([undefined, 'null', 'false', '0', '"active"', '[]', '{}'])(
    'has to be a place on a list where that is demanded, and is not with %s',
    (status) => {
      expect(() => readStatusClaim(claimsWith(status), { ...RULES, unlisted: 'refuse' })).toThrow(
        expect.objectContaining({ code: 'ERR_TOKEN_CLAIM_INVALID' }) as Error,
      );
    },
  );

  it('is read as ever where it is demanded', () => {
    const claims = claimsWith(place('7'));
    const found = readStatusClaim(claims, { ...RULES, unlisted: 'refuse' });
    expect(found).toEqual(readStatusClaim(claims, RULES));
  });

  it.each([
    [0, URI],
    [2 ** 32, URI],
    [1e3, 'https://lists.example:8443/a?b=c'],
    [7, 'https://ISSUER.example/1'],
    [7, 'https://issuer.example:443/1'],
    [7, 'https://issuer.example/a/../b'],
  ])('names index %s of %s', (index, uri) => {
    const found = readStatusClaim(claimsWith(place(String(index), JSON.stringify(uri))), RULES);
    expect(found).toEqual({ uri, url: new URL(uri), index });
  });

  it('may say more of its place', () => {
    const status = `{"status_list":{"idx":3,"uri":"${URI}","more":true},"other":{}}`;
    expect(readStatusClaim(claimsWith(status), RULES)).toMatchObject({ index: 3 });
  });

  it.each([
    ['empty', '{}'],
    ['of another mechanism', '{"token_introspection":{}}'],
    ['null inside', '{"status_list":null}'],
    ['a list inside', '{"status_list":[0]}'],
    ['without an index', `{"status_list":{"uri":"${URI}"}}`],
    ['without a uri', '{"status_list":{"idx":0}}'],
    ['with a negative index', place('-1')],
    ['with a fraction', place('0.5')],
    ['with an index that is no exact number', place('9007199254740993')],
    ['with an infinite index', place('1e400')],
    ['with a text for an index', place('"0"')],
    ['with null for an index', place('null')],
    ['with several indices', place('[0]')],
    ['with no text for a uri', place('0', '1')],
    ['with several uris', place('0', `["${URI}"]`)],
    ['with an empty uri', place('0', '""')],
    ['with a relative uri', place('0', '"/status-lists/1"')],
    ['with a uri without a scheme', place('0', '"//issuer.example/1"')],
    ['with a uri with a space', place('0', '"https://issuer.example/ 1"')],
    ['with a uri with a line break', place('0', '"https://issuer.example/\\n1"')],
    ['with a uri beyond ASCII', place('0', '"https://issuer.example/ä"')],
    ['with an endless uri', place('0', `"https://issuer.example/${'a'.repeat(2_048)}"`)],
    ['in clear', place('0', '"http://issuer.example/1"')],
    ['on the disk', place('0', '"file:///etc/passwd"')],
    ['with data', place('0', '"data:application/statuslist+jwt,x"')],
    ['at another origin', place('0', '"https://other.example/1"')],
    ['at another port', place('0', '"https://issuer.example:8443/1"')],
    ['at a name that begins alike', place('0', '"https://issuer.example.evil.example/1"')],
    ['at a name that ends alike', place('0', '"https://evil-issuer.example/1"')],
    ['at a subdomain', place('0', '"https://a.issuer.example/1"')],
    ['at a name with a dot behind', place('0', '"https://issuer.example./1"')],
    ['with a user name', place('0', '"https://user@issuer.example/1"')],
    ['with our origin as a user name', place('0', '"https://issuer.example@evil.example/1"')],
    ['with our origin as a password', place('0', '"https://a:issuer.example@evil.example/1"')],
    ['with backslashes', place('0', '"https:\\\\\\\\evil.example\\\\issuer.example/1"')],
    ['with a fragment', place('0', `"${URI}#1"`)],
    ['at the metadata address', place('0', '"https://169.254.169.254/latest"')],
    ['at this machine', place('0', '"https://localhost/1"')],
    ['at this machine by number', place('0', '"https://2130706433/1"')],
    ['at this machine in IPv6', place('0', '"https://[::1]/1"')],
  ])('is refused: %s', (_what, status) => {
    expect(() => readStatusClaim(claimsWith(status), RULES)).toThrow(
      expect.objectContaining({ code: 'ERR_TOKEN_CLAIM_INVALID' }) as Error,
    );
  });

  it('is refused without a word of what it says', () => {
    const attempt = (): unknown =>
      readStatusClaim(claimsWith(place('0', '"https://secret.example/secret"')), RULES);
    expect(attempt).toThrow(
      expect.objectContaining({ detail: expect.not.stringContaining('secret') }) as Error,
    );
  });
});
