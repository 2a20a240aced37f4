/** Names of the headers that the kafka output writes and the kafka input knows. */
export const TAG_HEADER = 'tailrace-tag';
export const TIME_HEADER = 'tailrace-time';
export const ORIGIN_HEADER = 'tailrace-origin';
