import { existsSync } from 'node:fs';

import { type Browser, type BrowserContext, chromium } from 'playwright-core';

import { recordNotRun, recordOutput } from './witness.js';

/** A real Chromium, the system's own: nothing is downloaded. */

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `describe` where Chromium is installed; elsewhere the end of the run says what was not tested. */
export function describeWithChromium(name: string, suite: () => void): void {
  if (CHROMIUM !== undefined) {
    describe(name, suite);
    return;
  }
  recordNotRun(name, 'chromium');
  describe(`NOT RUN: ${name}`, () => {
    it('needs chromium', () => {
      expect(CHROMIUM).toBeUndefined();
    });
  });
}

/** Starts it without a window. Whoever starts it closes it. */
export function startChromium(): Promise<Browser> {
  if (CHROMIUM === undefined) throw new Error('there is no Chromium on this machine');
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

/** A profile of its own, with its own cookies; what its pages print goes to the witness. */
export async function newProfile(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext();
  context.on('console', (message) => recordOutput(message.text()));
  context.on('weberror', (error) => recordOutput(String(error.error())));
  return context;
}
