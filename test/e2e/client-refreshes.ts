import { once } from 'node:events';

import { eventually } from '../support/redis-server.js';
import type { ClientFront, Passage } from './client-front.js';
import type { Tab } from './client-tabs.js';

/** What the refreshes that went through the front say of the tabs behind it. */

export function refreshesOf({ passages }: ClientFront): readonly Passage[] {
  return passages.filter(({ path }) => path === '/auth/refresh');
}

/** Pairs of refreshes that were under way at once, but for those whose tab was left meanwhile. */
export function overlaps(refreshes: readonly Passage[], tabs: readonly Tab[]): readonly string[] {
  return refreshes.flatMap((first, index) =>
    refreshes
      .slice(index + 1)
      // A tab's own second try may arrive here before the end of its first.
      .filter(({ tab, start }) => tab !== first.tab && start < first.end)
      .filter((second) => !wasLeft(tabs, first, second.start))
      .map((second) => `${inWords(first)} and ${inWords(second)}`),
  );
}

export function wasLeft(tabs: readonly Tab[], { tab, start }: Passage, until: number): boolean {
  return tabs.some((candidate) => candidate.name === tab && candidate.wasLeft(start, until));
}

/** A refresh in words: for the output of a test that failed, so without its headers. */
export function inWords({ tab, start, end, status, presented }: Passage): string {
  return `${tab} ${timeOf(start)} +${end - start} ms: ${status}, with ${presented}`;
}

export function timeOf(at: number): string {
  return new Date(at).toISOString().slice(11, -1);
}

/** Refresh tokens that were accepted, one after the other. */
function accepted(front: ClientFront): ReadonlySet<string> {
  const answered = refreshesOf(front).filter(({ status }) => status === 200);
  return new Set(answered.map(({ presented }) => presented));
}

/** Two more refresh tokens were used since: no grace window helps with the tokens before them. */
export async function goesOn(front: ClientFront, use: () => Promise<unknown>): Promise<void> {
  const before = accepted(front).size;
  await eventually('the session goes on', async () => {
    await use();
    return accepted(front).size >= before + 2;
  });
}

/** Holds every refresh from now on; answers what lets them go, this and all later ones. */
export function hold(front: ClientFront): () => void {
  const release = new AbortController();
  const released = once(release.signal, 'abort');
  front.refreshes = () => released;
  return () => {
    front.refreshes = 'answered';
    release.abort();
  };
}

/** The first refresh that begins from now on, once it has arrived. */
export async function nextRefresh(front: ClientFront): Promise<Passage> {
  const before = refreshesOf(front).length;
  await eventually('a refresh is under way', () => refreshesOf(front).length > before);
  const refresh = refreshesOf(front)[before];
  if (refresh === undefined) throw new Error('there is no refresh');
  return refresh;
}
