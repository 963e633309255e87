/**
 * The name of a status list: the period in which it takes new tokens, and a number within it. It says
 * nothing of the tokens in it, and every instance reads the same from it.
 */
export interface ListName {
  /** When the list begins to take tokens, in seconds. */
  readonly start: number;
  /** For how long it does, in seconds. */
  readonly period: number;
  /** More than one list is needed where one is filling up. */
  readonly number: number;
}

const NAME = /^([0-9a-z]{1,8})-([0-9a-z]{1,6})-([0-9a-z]{1,5})$/;

/** The name as it stands in a URI and in the log. */
export function formatListName({ start, period, number }: ListName): string {
  return [start, period, number].map((part) => part.toString(36)).join('-');
}

/** `undefined` for what is not the one spelling of a name. */
export function parseListName(text: string): ListName | undefined {
  const parts = NAME.exec(text)
    ?.slice(1)
    .map((part) => Number.parseInt(part, 36));
  if (parts === undefined) return undefined;
  const [start = 0, period = 0, number = 0] = parts;
  const name = { start, period, number };
  return period > 0 && start % period === 0 && formatListName(name) === text ? name : undefined;
}

/** The list that takes tokens at an instant in seconds. */
export function listNameAt(now: number, period: number, number: number): ListName {
  return { start: now - (now % period), period, number };
}

/** From this instant on, in seconds, it takes no more tokens. */
export function closesAt({ start, period }: ListName): number {
  return start + period;
}
