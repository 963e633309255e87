interface UnreadEntry {
  /** From this instant on the log need not have it. */
  readonly until: number;
  /** `overdue`: the end of the log was seen since it was acknowledged, and it had not come by. */
  stage: 'sent' | 'acknowledged' | 'overdue';
}

/**
 * What this instance has appended and not read back. A primary that dies can take along what it
 * acknowledged last; while nobody has read that, nobody's position is lost with it, and only who
 * appended it can tell.
 */
export class UnreadEntries {
  readonly #entries = new Map<string, UnreadEntry>();

  /** Before it is appended: it may be read back before the answer is here. */
  send(text: string, until: number): void {
    this.#entries.set(text, { until, stage: 'sent' });
  }

  acknowledge(text: string): void {
    const entry = this.#entries.get(text);
    if (entry !== undefined) entry.stage = 'acknowledged';
  }

  /** It was read, or nobody was promised that it holds. */
  forget(text: string): void {
    this.#entries.delete(text);
  }

  /** The log is read anew, and gets back all that is known: what was acknowledged is. */
  forgetAcknowledged(): void {
    for (const [text, { stage }] of this.#entries) if (stage !== 'sent') this.#entries.delete(text);
  }

  /**
   * To be called whenever the end of the log was seen; answers whether the log lacks something. Only
   * the second time: a read that was under way when an entry was acknowledged may have missed it.
   */
  isAnyLost(now: number): boolean {
    let isLost = false;
    for (const [text, entry] of this.#entries) {
      if (entry.until <= now) this.#entries.delete(text);
      else if (entry.stage === 'overdue') isLost = true;
      else if (entry.stage === 'acknowledged') entry.stage = 'overdue';
    }
    return isLost;
  }
}
