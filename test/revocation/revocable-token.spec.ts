import { judge, type TokenFacts, RevocableToken } from '../../lib/revocation/revocable-token.js';
import { digestOf, type Revocation } from '../../lib/revocation/revocation-entry.js';
import { RevocationIndex } from '../../lib/revocation/revocation-index.js';

/** Tokens that carry no era are judged by `iat`, and by the leeway that other clocks are given. */
const ISSUER = 'https://other.example';
const NOW = 1_800_000_000_000;
const SECONDS = NOW / 1000;

function verdict(revocation: Omit<Revocation, 'until'>, iat: number, leeway: number): string {
  const index = new RevocationIndex();
  index.add({ ...revocation, until: NOW + 3_600_000 }, NOW);
  const facts: TokenFacts = {
    issuer: ISSUER,
    kid: 'k',
    subject: 'alice',
    tokenId: 'a',
    sessionId: undefined,
    issuedAt: iat,
    era: undefined,
  };
  return judge(index, new RevocableToken(facts), { now: NOW, leeway })?.kind ?? 'lives';
}

const subject = { kind: 'subject', digest: digestOf('subject', ISSUER, 'alice') } as const;

it.each([
  ['issued before', NOW, -1, 10, 'subject'],
  ['issued in the same second', NOW + 900, 0, 0, 'subject'],
  ['issued within the leeway', NOW, 10, 10, 'subject'],
  ['issued after the leeway', NOW, 11, 10, 'lives'],
  ['issued after the leeway, in the second it ends in', NOW + 900, 11, 10, 'lives'],
  ['issued within a leeway of half a second', NOW + 900, 1, 0.5, 'subject'],
  ['issued at a fraction of a second within the leeway', NOW + 900, 10.8, 10, 'subject'],
])('%s', (_when, since, after, leeway, expected) => {
  expect(verdict({ ...subject, since }, SECONDS + after, leeway)).toBe(expected);
});

it.each([
  ['before it', -1, 10, 'before'],
  ['within the leeway', 9, 10, 'before'],
  ['when the leeway is over', 10, 10, 'lives'],
])(
  'what was issued before an instant, by a clock that may be ahead: %s',
  (_w, after, leeway, is) => {
    expect(verdict({ kind: 'before', digest: '', since: NOW }, SECONDS + after, leeway)).toBe(is);
  },
);
