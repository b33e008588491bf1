import { css, cx } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { Field, LoadingPlaceholder, RadioButtonGroup, Stack, useStyles2 } from '@grafana/ui';
import { useState } from 'react';

import { Failed } from '../parts/Failed';
import { Lines } from '../parts/Lines';
import { useLoaded } from '../use';
import { words } from '../words';
import { sides, unified, type Side } from './model';

interface Props {
  device: string;
  from: string;
  to: string;
}

/** What lies between two versions: one below the other as `diff -u` writes it, or side by side. */
export function Diff({ device, from, to }: Props) {
  const { configuration: t, loading } = words();
  const [view, setView] = useState<'unified' | 'split'>('unified');
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
        <Stack direction="column" gap={1}>
          <p role="status">{body.length === 0 ? t.same : t.lines(count('+'), count('-'))}</p>
          {body.length > 0 && (
            <Field label={t.view} noMargin>
              <RadioButtonGroup
                aria-label={t.view}
                options={[
                  { value: 'unified' as const, label: t.unified },
                  { value: 'split' as const, label: t.split },
                ]}
                value={view}
                onChange={setView}
              />
            </Field>
          )}
          {body.length > 0 && view === 'unified' && <Lines label={t.diff} lines={lines} />}
          {body.length > 0 && view === 'split' && <Split rows={sides(body)} />}
        </Stack>
      )}
    </section>
  );
}

/** The older version on the left, the newer one on the right, line by line. */
function Split({ rows }: { rows: Array<[Side, Side]> }) {
  const { configuration: t } = words();
  const styles = useStyles2(look);
  const cell = (side: Side) => (
    <td className={cx(styles.cell, side.sign === '+' && styles.added, side.sign === '-' && styles.removed)}>
      {side.sign} {side.text}
    </td>
  );
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={t.split}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th scope="col">{t.older}</th>
            <th scope="col">{t.newer}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([left, right], at) => (
            <tr key={at}>
              {cell(left)}
              {cell(right)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const look = (theme: GrafanaTheme2) => ({
  scroll: css({ maxHeight: '70vh', overflow: 'auto' }),
  table: css({ width: '100%', tableLayout: 'fixed' }),
  cell: css({
    padding: theme.spacing(0, 1),
    fontFamily: theme.typography.fontFamilyMonospace,
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
    verticalAlign: 'top',
  }),
  added: css({ background: theme.colors.success.transparent }),
  removed: css({ background: theme.colors.error.transparent }),
});
