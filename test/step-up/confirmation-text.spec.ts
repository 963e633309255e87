import type { HttpRequest } from '../../lib/guard/credentials.js';
import { readConfirmationText } from '../../lib/step-up/confirmation-text.js';

/** As Node has it: names in lower case, what comes twice joined, and all of it as it came. */
function requestWith(headers: readonly (readonly [string, string])[], body?: unknown): HttpRequest {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    joined.set(key, joined.has(key) ? `${joined.get(key)}, ${value}` : value);
  }
  return { headers: Object.fromEntries(joined), rawHeaders: headers.flat(), body };
}

const HEADER = 'X-Confirmation-Token';

it.each<readonly [string, HttpRequest, unknown]>([
  ['none', requestWith([]), undefined],
  ['none in a body', requestWith([], { other: 'a' }), undefined],
  ['none in what is no object', requestWith([], 'confirmation_token'), undefined],
  ['none in null', requestWith([], null), undefined],
  ['the one in the header', requestWith([[HEADER, 'a']]), 'a'],
  ['in any spelling of its name', requestWith([['x-CONFIRMATION-token', 'a']]), 'a'],
  ['the one in the body', requestWith([], { confirmation_token: 'a' }), 'a'],
  ['an empty one, which is one all the same', requestWith([[HEADER, '']]), ''],
  ['what is no text', requestWith([], { confirmation_token: null }), null],
  ['a list of one as a list', requestWith([], { confirmation_token: ['a'] }), ['a']],
  ['none of the prototype', requestWith([], Object.create({ confirmation_token: 'a' })), undefined],
  [
    'of what a proxy left of it',
    { headers: { 'x-confirmation-token': 'a' }, raw: { rawHeaders: [] } },
    'a',
  ],
  ['of Fastify', { headers: {}, raw: { rawHeaders: [HEADER, 'a'] } }, 'a'],
])('%s', (_, request, found) => {
  expect(readConfirmationText(request)).toEqual(found);
});

it.each<readonly [string, HttpRequest]>([
  [
    'twice in the header',
    requestWith([
      [HEADER, 'a'],
      [HEADER, 'b'],
    ]),
  ],
  [
    'the same twice in the header',
    requestWith([
      [HEADER, 'a'],
      [HEADER.toLowerCase(), 'a'],
    ]),
  ],
  ['in the header and in the body', requestWith([[HEADER, 'a']], { confirmation_token: 'b' })],
  ['the same in both', requestWith([[HEADER, 'a']], { confirmation_token: 'a' })],
  ['an empty header and a body', requestWith([[HEADER, '']], { confirmation_token: 'a' })],
  ['twice in a form', requestWith([], { confirmation_token: ['a', 'a'] })],
  [
    'twice where only the list of headers is left',
    { headers: { 'x-confirmation-token': ['a', 'b'] } },
  ],
])('not %s', (_, request) => {
  expect(() => readConfirmationText(request)).toThrow(
    expect.objectContaining({ code: 'ERR_ACCESS_AMBIGUOUS_CREDENTIALS' }),
  );
});
