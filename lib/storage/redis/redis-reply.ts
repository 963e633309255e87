import { corrupt } from './redis-failure.js';

type Tuple<
  Length extends number,
  Items extends readonly RedisReply[] = [],
> = Items['length'] extends Length ? Items : Tuple<Length, readonly [...Items, RedisReply]>;

/**
 * Reads replies as what they are: data from outside of this process. Whatever is not what a script
 * of ours would answer is `ERR_STORE_CORRUPT`.
 */
export class RedisReply {
  /** @param task what was asked for, as the end of a sentence */
  constructor(
    private readonly value: unknown,
    private readonly task: string,
  ) {}

  /** A list of any length. */
  list(): readonly RedisReply[] {
    return this.items().map((item) => new RedisReply(item, this.task));
  }

  /** A list of what its reader checks by itself. */
  items(): readonly unknown[] {
    const { value } = this;
    return Array.isArray(value) ? (value as readonly unknown[]) : this.#refuse();
  }

  /** A list of as many items as told. */
  tuple<const Length extends number>(length: Length): Tuple<Length> {
    const items = this.list();
    return items.length === length ? (items as Tuple<Length>) : this.#refuse();
  }

  text(): string {
    return typeof this.value === 'string' ? this.value : this.#refuse();
  }

  textOrNull(): string | null {
    return this.value === null ? null : this.text();
  }

  /** One of a few words. */
  word<const Word extends string>(words: readonly Word[]): Word {
    return words.find((word) => word === this.value) ?? this.#refuse();
  }

  /** A whole number from 0, which arrives as a number or, when it is large, as its digits. */
  count(): number {
    const { value } = this;
    const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value;
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0
      ? number
      : this.#refuse();
  }

  countOrNull(): number | null {
    return this.value === null ? null : this.count();
  }

  /** Whether the one thing a script was asked to do was done. */
  flag(): boolean {
    return this.value === 1 || (this.value === 0 ? false : this.#refuse());
  }

  #refuse(): never {
    throw corrupt(this.task);
  }
}
