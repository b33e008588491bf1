import { dateTimeFormat } from '@grafana/data';

/** A moment in a table: one word, of which no line ends at a hyphen. */
export function When({ at }: { at: string | number }) {
  return <span style={{ whiteSpace: 'nowrap' }}>{dateTimeFormat(at)}</span>;
}
