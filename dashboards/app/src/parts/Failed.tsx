import { Alert, Button } from '@grafana/ui';

import { Refused } from '../api';
import { words } from '../words';

/** What a person is told of a call that was refused, and what to do about it. */
export function told(error: unknown, changing: boolean): string[] {
  const { errors } = words();
  if (!(error instanceof Refused)) {
    return [String(error)];
  }
  // 5xx of a proxy says nothing about what the service did before.
  const unknown = changing && (error.status === 0 || error.status === 502 || error.status === 504);
  const said = error.detail ? errors.service(error.detail) : '';
  const lines: string[] = [];
  switch (error.status) {
    case 0:
      lines.push(errors.noAnswer);
      break;
    case 404:
      lines.push(error.detail === 'plugin route match not found' ? errors.s404route : errors.s404);
      break;
    case 429:
      lines.push(error.retryAfter === null ? errors.s429 : errors.s429after(error.retryAfter));
      break;
    default:
      lines.push(sentences()[error.status] ?? (error.status >= 500 ? errors.s500 : errors.s400));
  }
  const own = error.detail === 'plugin proxy route access denied' || error.detail === 'plugin route match not found';
  if (said && !own) {
    lines.push(said);
  }
  if (changing) {
    lines.push(unknown ? errors.unknown : errors.nothingDone);
  }
  if (error.traceId) {
    lines.push(errors.trace(error.traceId));
  }
  return lines;
}

function sentences(): Record<number, string> {
  const { errors } = words();
  return {
    400: errors.s400,
    401: errors.s401,
    403: errors.s403,
    409: errors.s409,
    412: errors.s412,
    413: errors.s413,
    422: errors.s422,
    428: errors.s428,
    500: errors.s500,
    502: errors.s502,
    503: errors.s503,
    504: errors.s502,
    507: errors.s507,
  };
}

interface Props {
  title?: string;
  detail?: string;
  error?: unknown;
  /** Whether something was to be changed. */
  changing?: boolean;
  again?: () => void;
}

/** A refusal in words, with the way on. */
export function Failed({ title, detail, error, changing = false, again }: Props) {
  const { errors, tryAgain } = words();
  const lines = error === undefined ? [] : told(error, changing);
  const stale = error instanceof Refused && (error.status === 412 || error.status === 428);
  return (
    <Alert severity="error" title={title ?? (changing ? errors.title : errors.loadTitle)}>
      {detail && <p>{detail}</p>}
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
      {again && (
        <Button variant="secondary" size="sm" onClick={again}>
          {stale ? errors.loadNew : tryAgain}
        </Button>
      )}
    </Alert>
  );
}
