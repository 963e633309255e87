/**
 * What is done with requests while a store was not heard of for longer than `outage.maxLag`, so that
 * a key or a token may have been withdrawn without word of it here: answer 503, or go on with what is
 * known and say so in an event.
 */
export type OnStale = 'reject' | 'acceptWithAlert';
