import { readUserAgent } from '../../../lib/binding/fingerprint/user-agent.js';

const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)';
const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';
const ANDROID = 'Mozilla/5.0 (Linux; Android 10; K)';
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)';
const BLINK = 'AppleWebKit/537.36 (KHTML, like Gecko)';
const WEBKIT = 'AppleWebKit/605.1.15 (KHTML, like Gecko)';

describe('readUserAgent', () => {
  it.each([
    [`${WINDOWS} ${BLINK} Chrome/141.0.0.0 Safari/537.36`, 'chrome', '141', 'windows'],
    [`${WINDOWS} ${BLINK} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0`, 'edge', '141', 'windows'],
    [`${MAC} ${BLINK} Chrome/141.0.0.0 Safari/537.36 OPR/124.0.0.0`, 'opera', '124', 'macos'],
    [`${MAC} ${BLINK} Chrome/138.0.0.0 Safari/537.36 Vivaldi/7.5.1`, 'vivaldi', '7', 'macos'],
    [`${WINDOWS} ${BLINK} Chrome/138.0 YaBrowser/25.8 Safari/537.36`, 'yandex', '25', 'windows'],
    [`${ANDROID} ${BLINK} Chrome/141.0.0.0 Mobile Safari/537.36`, 'chrome', '141', 'android'],
    [`${ANDROID} ${BLINK} SamsungBrowser/28.0 Chrome/130.0 Safari/537`, 'samsung', '28', 'android'],
    [`${ANDROID} ${BLINK} Version/4.0 Chrome/141.0 Mobile UCBrowser/13.4`, 'uc', '13', 'android'],
    [
      `Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) ${BLINK} Version/4.0 Chrome/141.0 Mobile Safari/537.36`,
      'webview',
      '141',
      'android',
    ],
    [`${MAC} ${WEBKIT} Version/17.5 Safari/605.1.15`, 'safari', '17', 'macos'],
    [`${IPHONE} ${WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1`, 'safari', '18', 'ios'],
    [`${IPHONE} ${WEBKIT} CriOS/141.0.7390.41 Mobile/15E148 Safari/604.1`, 'chrome', '141', 'ios'],
    [`${IPHONE} ${WEBKIT} FxiOS/143.0 Mobile/15E148 Safari/605.1.15`, 'firefox', '143', 'ios'],
    [
      `${IPHONE} ${WEBKIT} EdgiOS/140.0 Version/18.0 Mobile/15E148 Safari/604.1`,
      'edge',
      '140',
      'ios',
    ],
    [`${IPHONE} ${WEBKIT} GSA/388.0 Mobile/15E148 Safari/604.1`, 'google-app', '388', 'ios'],
    [
      `${IPHONE} ${WEBKIT} Version/18.6 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15`,
      'duckduckgo',
      '7',
      'ios',
    ],
    [`${IPHONE} ${WEBKIT} Mobile/15E148`, 'webkit', '605', 'ios'],
    [
      'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
      'firefox',
      '128',
      'linux',
    ],
    [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${BLINK} Chrome/141.0`, 'chrome', '141', 'chromeos'],
    [`Mozilla/5.0 (X11; Linux x86_64) ${BLINK} HeadlessChrome/141.0`, 'headless', '141', 'linux'],
    ['curl/8.14.1', 'product curl', '8', 'other'],
    ['okhttp/4.12.0', 'product okhttp', '4', 'other'],
    ['MyBank/512 CFNetwork/3826.500 Darwin/24.4.0', 'product mybank', '512', 'macos'],
    ['Bank-App/v7 (Android 14)', 'product bank-app', '7', 'android'],
    ['python-requests', 'product python-requests', null, 'other'],
    // An application that calls itself by a family's name is not of it.
    ['edge', 'product edge', null, 'other'],
    ['Chrome/', 'product chrome', null, 'other'],
    ['(nobody)', 'product other', null, 'other'],
    ['Ünïcode/1', 'product other', null, 'other'],
    ['Mozilla/5.0', 'product mozilla', '5', 'other'],
    ['x'.repeat(100_000), `product ${'x'.repeat(32)}`, null, 'other'],
  ])('reads %j as %s %s on %s', (header, family, version, system) => {
    expect(readUserAgent(header)).toEqual({ family, version, system });
  });

  it.each(['', ' ', '\t'])('finds nothing in %j', (header) => {
    expect(readUserAgent(header)).toBeUndefined();
  });

  it('reads no further than browsers write', () => {
    const padded = `app/1 ${'.'.repeat(2_000)} Firefox/128.0`;
    expect(readUserAgent(padded)?.family).toBe('product app');
  });
});
