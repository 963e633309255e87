import { closeWitness } from './witness.ts';

/** Fails the run when a log line or an answer of any test held token or key material. */
export default function teardown(): void {
  const { leaks, searched, notRun } = closeWitness();
  if (leaks.length > 0) {
    throw new Error(`token or key material in ${leaks.length} outputs:\n${leaks.join('\n')}`);
  }
  if (notRun.length > 0) {
    process.stdout.write(`!!! NOT RUN for want of what they need: ${notRun.join('; ')}\n`);
  }
  process.stdout.write(`searched ${searched} characters of logs and answers: no token material\n`);
}
