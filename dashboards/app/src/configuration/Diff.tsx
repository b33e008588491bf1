import { css, cx } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { LoadingPlaceholder, useStyles2 } from '@grafana/ui';

import { Failed } from '../parts/Failed';
import { useLoaded } from '../use';
import { words } from '../words';
import { unified } from './model';

interface Props {
  device: string;
  from: string;
  to: string;
}

/** What lies between two versions, as a unified diff: told by the sign before each line, not by its colour alone. */
export function Diff({ device, from, to }: Props) {
  const { configuration: t, loading } = words();
  const styles = useStyles2(look);
  const diff = useLoaded(`${device} ${from} ${to}`, (signal) => unified(device, from, to, signal));
  const lines = (diff.value ?? '').split('\n').filter((line, at, all) => line !== '' || at < all.length - 1);
  const body = lines.filter((line) => !line.startsWith('+++') && !line.startsWith('---'));
  const count = (sign: string) => body.filter((line) => line.startsWith(sign)).length;
  return (
    <section aria-labelledby="diff">
      <h2 id="diff">{t.diff}</h2>
      {diff.error !== undefined && <Failed error={diff.error} again={diff.again} />}
      {diff.value === undefined && diff.loading && <LoadingPlaceholder text={loading} />}
      {diff.value !== undefined && (
        <>
          <p role="status">{body.length === 0 ? t.same : t.lines(count('+'), count('-'))}</p>
          {body.length > 0 && (
            <pre className={styles.diff} tabIndex={0} aria-label={t.diff}>
              {lines.map((line, at) => (
                <span key={at} className={cx(styles.line, kind(line, styles))}>
                  {line}
                  {'\n'}
                </span>
              ))}
            </pre>
          )}
        </>
      )}
    </section>
  );
}

function kind(line: string, styles: ReturnType<typeof look>): string | undefined {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) {
    return styles.head;
  }
  return line.startsWith('+') ? styles.added : line.startsWith('-') ? styles.removed : undefined;
}

const look = (theme: GrafanaTheme2) => ({
  diff: css({ maxHeight: '70vh', overflow: 'auto', padding: theme.spacing(1) }),
  line: css({ display: 'block' }),
  head: css({ color: theme.colors.text.secondary }),
  added: css({ background: theme.colors.success.transparent }),
  removed: css({ background: theme.colors.error.transparent }),
});
