import { openWitness } from './witness.ts';

export default function setup(): void {
  openWitness();
}
