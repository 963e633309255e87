/**
 * Processor time from the Linux scheduler, in nanoseconds: exact for a thread that sleeps, and read
 * from outside, so that measuring costs the measured process nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';

const NANOSECONDS_PER_TICK = 1e7;

/** Time on a processor, and time spent runnable but waiting for one. */
function readThread(pid, tid) {
  const [onCpu, waited] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ');
  return { onCpu: Number(onCpu), waited: Number(waited) };
}

/** The main thread (its id is the process id) and all threads together. */
export function readProcess(pid) {
  const main = readThread(pid, pid);
  let all = 0;
  for (const tid of readdirSync(`/proc/${pid}/task`)) all += readThread(pid, tid).onCpu;
  return { main: main.onCpu, mainWaited: main.waited, all };
}

/** What all processors did for anyone, the hypervisor's other guests (`steal`) included. */
export function readMachine() {
  const [, user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
    .slice(0, 200)
    .split('\n', 1)[0]
    .split(/ +/)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * NANOSECONDS_PER_TICK;
}
