import {
  CHROME,
  chromeOf,
  clientHash,
  FIREFOX,
  openRoom,
  type Outcome,
  outcomeOf,
  PHONE,
  requestOf,
  SAFARI,
  type Sender,
} from './sender-mother.js';

/** Each row is one change of an honest sender, or several that come together. */
const DRIFT: readonly (readonly [what: string, from: Sender, to: Sender, outcome: Outcome])[] = [
  ['nothing', CHROME, CHROME, 'same'],
  ['a minor update', CHROME, { ...CHROME, userAgent: chromeOf('141.0.7390.65') }, 'same'],
  ['a major update', CHROME, { ...CHROME, userAgent: chromeOf('142.0.0.0') }, 'pass'],
  ['a year of updates', CHROME, { ...CHROME, userAgent: chromeOf('155.0.0.0') }, 'pass'],
  ['a year and more', CHROME, { ...CHROME, userAgent: chromeOf('156.0.0.0') }, 'note'],
  ['an older version', CHROME, { ...CHROME, userAgent: chromeOf('140.0.0.0') }, 'note'],
  ['an address in the same /24', CHROME, { ...CHROME, address: '203.0.113.250' }, 'same'],
  ['another /24', CHROME, { ...CHROME, address: '203.0.114.7' }, 'note'],
  ['a mapped spelling', CHROME, { ...CHROME, address: '::ffff:203.0.113.7' }, 'same'],
  ['a privacy address', PHONE, { ...PHONE, address: '2001:db8:1:2:aaaa:bbbb:cccc:1' }, 'same'],
  ['another /64 of the /48', PHONE, { ...PHONE, address: '2001:db8:1:77::1' }, 'same'],
  ['another /48', PHONE, { ...PHONE, address: '2001:db8:2:2:3:4:5:6' }, 'note'],
  ['from Wi-Fi to a mobile network', PHONE, { ...PHONE, address: '198.51.100.99' }, 'note'],
  [
    'a mobile network after an update',
    PHONE,
    { ...PHONE, address: '100.64.3.4', userAgent: PHONE.userAgent.replace('141.', '142.') },
    'note',
  ],
  [
    'languages in another order',
    CHROME,
    { ...CHROME, language: 'en-US,en;q=0.9,de-AT;q=0.8,de;q=0.7' },
    'note',
  ],
  [
    'the same order with other weights',
    CHROME,
    { ...CHROME, language: 'de-AT, de; q=0.5, en-US; q=0.3 ,en;q=0.1' },
    'same',
  ],
  ['one more language', CHROME, { ...CHROME, language: `${CHROME.language},fr;q=0.6` }, 'pass'],
  ['languages reduced to one', CHROME, { ...CHROME, language: 'de-AT' }, 'pass'],
  [
    'languages in another case',
    CHROME,
    { ...CHROME, language: CHROME.language.toUpperCase() },
    'same',
  ],
  [
    'client hints that come later',
    { userAgent: CHROME.userAgent, language: CHROME.language, address: CHROME.address },
    CHROME,
    'pass',
  ],
  [
    'client hints that a request lacks',
    CHROME,
    {
      userAgent: CHROME.userAgent,
      language: CHROME.language,
      address: CHROME.address,
      client: CHROME.client,
    },
    'pass',
  ],
  [
    'a client that found its digest later',
    SAFARI,
    { ...SAFARI, client: clientHash('mac') },
    'pass',
  ],
  ['a request without the digest', CHROME, { ...CHROME, client: 'x' }, 'note'],
  [
    'another digest of itself',
    CHROME,
    { ...CHROME, client: clientHash('a new processor') },
    'note',
  ],
  [
    'a version that stands still',
    SAFARI,
    { ...SAFARI, userAgent: SAFARI.userAgent.replace('17.5', '17.6') },
    'same',
  ],
  [
    'DuckDuckGo, whose version stands still',
    { ...SAFARI, userAgent: `${SAFARI.userAgent} Ddg/17.5` },
    { ...SAFARI, userAgent: `${SAFARI.userAgent.replace('17.5', '18.1')} Ddg/17.5` },
    'same',
  ],
  [
    'the page for desktops on a phone',
    PHONE,
    {
      ...PHONE,
      userAgent:
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
      platform: '"Linux"',
      mobile: '?0',
    },
    'note',
  ],
  [
    'a system update',
    PHONE,
    { ...PHONE, userAgent: PHONE.userAgent.replace('10; K', '11; K') },
    'same',
  ],
  ['a service without any header', { address: '10.0.0.1' }, { address: '10.0.0.2' }, 'same'],
  [
    'a service that was updated',
    { userAgent: 'billing/4.1 (linux)', address: '10.0.0.1' },
    { userAgent: 'billing/5.0 (linux)', address: '10.0.0.1' },
    'pass',
  ],
];

/** Each row is a thief with the token, and what he knows besides. */
const THEFT: readonly (readonly [what: string, from: Sender, to: Sender, outcome: Outcome])[] = [
  ['another browser', CHROME, { ...CHROME, userAgent: FIREFOX.userAgent }, 'refuse'],
  [
    'a browser of the same make',
    CHROME,
    { ...CHROME, userAgent: `${CHROME.userAgent} Edg/141.0.0.0` },
    'stepUp',
  ],
  [
    'a browser of the same make at another address',
    CHROME,
    { ...CHROME, userAgent: `${CHROME.userAgent} Edg/141.0.0.0`, address: '192.0.2.4' },
    'stepUp',
  ],

  [
    'another browser at another address',
    FIREFOX,
    {
      ...FIREFOX,
      userAgent: FIREFOX.userAgent.replace('Firefox/128.0', 'LibreFox/128.0'),
      address: '192.0.2.4',
    },
    'refuse',
  ],
  ['a whole other computer', CHROME, FIREFOX, 'refuse'],
  [
    'another platform and language',
    FIREFOX,
    {
      ...FIREFOX,
      userAgent: FIREFOX.userAgent.replace('X11; Linux x86_64', 'Windows NT 10.0'),
      language: 'ru-RU,ru',
    },
    'stepUp',
  ],
  ['curl', CHROME, { userAgent: 'curl/8.14.1', address: '192.0.2.4' }, 'refuse'],
  [
    'curl on the same computer',
    CHROME,
    { userAgent: 'curl/8.14.1', address: CHROME.address },
    'refuse',
  ],
  [
    'curl, of a sender with the user agent alone',
    { userAgent: CHROME.userAgent, address: CHROME.address },
    { userAgent: 'curl/8.14.1', address: CHROME.address },
    'refuse',
  ],
  [
    'the user agent copied, in another country',
    SAFARI,
    { ...SAFARI, language: 'ru-RU,ru', address: '192.0.2.4' },
    'stepUp',
  ],
  [
    'the user agent copied by a script elsewhere',
    CHROME,
    { userAgent: CHROME.userAgent, address: '192.0.2.4' },
    'refuse',
  ],
  [
    'a neighbour with the same browser',
    CHROME,
    { ...CHROME, language: 'fr-FR,fr', client: clientHash('a neighbour'), address: '203.0.113.8' },
    'stepUp',
  ],
  [
    'a neighbour who leaves the digest out',
    CHROME,
    { ...CHROME, language: 'fr-FR,fr', client: undefined },
    'stepUp',
  ],
  [
    'an older version elsewhere',
    CHROME,
    { ...CHROME, userAgent: chromeOf('120.0.0.0'), address: '192.0.2.4' },
    'stepUp',
  ],
  [
    'all headers copied but the digest, elsewhere',
    CHROME,
    { ...CHROME, client: undefined, address: '192.0.2.4' },
    'stepUp',
  ],
  ['no header at all', CHROME, { address: CHROME.address }, 'refuse'],
  ['nothing at all', CHROME, {}, 'refuse'],
  [
    'a headless browser',
    CHROME,
    { ...CHROME, userAgent: CHROME.userAgent.replace('Chrome', 'HeadlessChrome') },
    'stepUp',
  ],
  ['an emulated phone', SAFARI, PHONE, 'refuse'],
  [
    'a browser, of what is none',
    { userAgent: 'billing/4.1', address: '10.0.0.1' },
    { ...CHROME, address: '10.0.0.1' },
    'refuse',
  ],
];

const ORDER: readonly Outcome[] = ['same', 'pass', 'note', 'stepUp', 'refuse'];

describe('an honest sender', () => {
  it.each(DRIFT)('with %s is let through', async (_what, from, to, outcome) => {
    expect(ORDER.indexOf(outcome)).toBeLessThanOrEqual(ORDER.indexOf('note'));
    expect(await outcomeOf(from, to)).toBe(outcome);
  });
});

describe('a thief', () => {
  it.each(THEFT)('with %s is stopped', async (_what, from, to, outcome) => {
    expect(ORDER.indexOf(outcome)).toBeGreaterThanOrEqual(ORDER.indexOf('stepUp'));
    expect(await outcomeOf(from, to)).toBe(outcome);
  });

  it('who tries many disguises is stopped, though each differs by little', async () => {
    const room = openRoom();
    const outcomes: string[] = [];
    for (let number = 1; number <= 8; number++) {
      // A new token each time, as a thief who refreshes has.
      const token = room.issueTo(CHROME, 'session-1');
      const disguise = { ...CHROME, address: `198.51.${number}.1` };
      outcomes.push(await room.fingerprints.check(requestOf(disguise), token));
    }
    expect(outcomes).toEqual([...Array<string>(6).fill('pass'), 'stepUp', 'stepUp']);
    const owner = room.issueTo(CHROME, 'session-1');
    expect(room.fingerprints.check(requestOf(CHROME), owner)).toBe('pass');
  });
});

describe('the drift matrix S050', () => {
  it.each<[what: string, change: Sender, outcome: Outcome]>([
    ['a minor version', { userAgent: chromeOf('141.0.7390.123') }, 'same'],
    ['an address of the same /24', { address: '203.0.113.99' }, 'same'],
    ['another /24', { address: '198.51.100.1' }, 'note'],
    ['the order of languages', { language: 'de,de-AT;q=0.9,en;q=0.8,en-US;q=0.7' }, 'same'],
    ['another browser', { userAgent: FIREFOX.userAgent }, 'refuse'],
  ])('changes %s alone', async (_what, change, outcome) => {
    expect(await outcomeOf(CHROME, { ...CHROME, ...change })).toBe(outcome);
  });
});
