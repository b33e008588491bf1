import { Alert, Button, TextLink } from '@grafana/ui';

import { Refused } from '../api';
import { tracePath } from '../paths';
import { words } from '../words';

/** Whether a change that was refused may have been made all the same: a proxy's refusal says nothing about what the service did before. */
function isUnknown(error: unknown, changing: boolean): boolean {
  return changing && error instanceof Refused && [0, 502, 504].includes(error.status);
}

/** What a person is told of a call that was refused, and what to do about it. */
export function told(error: unknown, changing: boolean): string[] {
  const { errors } = words();
  if (!(error instanceof Refused)) {
    return [String(error)];
  }
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
  const own = ['plugin proxy route access denied', 'plugin route match not found', 'Bad gateway', 'Bad Gateway', 'Gateway timeout'].includes(error.detail);
  if (said && !own) {
    lines.push(said);
  }
  if (changing) {
    lines.push(isUnknown(error, changing) ? errors.unknown : errors.nothingDone);
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
  const trace = error instanceof Refused ? error.traceId : null;
  const usual = isUnknown(error, changing) ? errors.unknownTitle : changing ? errors.title : errors.loadTitle;
  return (
    <Alert severity="error" title={title ?? usual}>
      {detail && <p>{detail}</p>}
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
      {trace && (
        <p>
          <TextLink href={tracePath(trace)}>{errors.trace(trace)}</TextLink>
        </p>
      )}
      {again && (
        <Button variant="secondary" size="sm" onClick={again}>
          {stale ? errors.loadNew : tryAgain}
        </Button>
      )}
    </Alert>
  );
}
