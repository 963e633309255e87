/**
 * Waits for a moment in which nobody else uses the machine, and takes a disturbed sample again; both
 * only within limits, so that a run ends on a busy machine too.
 */
import { setTimeout as wait } from 'node:timers/promises';

import { readMachine, readProcess } from './processor-time.mjs';

/** Processors that others may take of a sample without making it a disturbed one. */
const TOLERATED = 0.1;
const LOOK_MS = 60;
const TAKES = 3;

export class Patience {
  #secondsLeft;
  #retakesLeft;

  constructor({ seconds, retakes }) {
    this.#secondsLeft = seconds;
    this.#retakesLeft = retakes;
  }

  /** @param take answers a sample with `others`, the processors that others took meanwhile */
  async best(take) {
    let best = await this.#whenCalm(take);
    for (let taken = 1; taken < TAKES && best.others > TOLERATED; taken++) {
      if (this.#retakesLeft-- <= 0) break;
      const again = await this.#whenCalm(take);
      if (again.others < best.others) best = again;
    }
    return best;
  }

  async #whenCalm(take) {
    while (this.#secondsLeft > 0 && (await othersNow()) > TOLERATED) {
      await wait(500);
      this.#secondsLeft -= (500 + LOOK_MS) / 1e3;
    }
    return take();
  }
}

async function othersNow() {
  const startedAt = process.hrtime.bigint();
  const machine = readMachine();
  const own = readProcess(process.pid).all;
  await wait(LOOK_MS);
  const others = readMachine() - machine - (readProcess(process.pid).all - own);
  return others / Number(process.hrtime.bigint() - startedAt);
}
