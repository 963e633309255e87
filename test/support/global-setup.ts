import { openWitness } from './witness.js';

export default function setup(): void {
  openWitness();
}
