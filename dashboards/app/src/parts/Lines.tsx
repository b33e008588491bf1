import { css, cx } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

/** Lines of a diff, told by the sign before each, not by its colour alone. */
export function Lines({ label, lines }: { label: string; lines: string[] }) {
  const styles = useStyles2(look);
  return (
    <pre className={styles.lines} tabIndex={0} aria-label={label}>
      {lines.map((line, at) => (
        <span key={at} className={cx(styles.line, kind(line, styles))}>
          {line}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}

function kind(line: string, styles: ReturnType<typeof look>): string | undefined {
  if (line.startsWith('+++') || line.startsWith('---') || line.startsWith('@@')) {
    return styles.head;
  }
  return line.startsWith('+') ? styles.added : line.startsWith('-') ? styles.removed : undefined;
}

const look = (theme: GrafanaTheme2) => ({
  lines: css({ maxHeight: '70vh', overflow: 'auto', padding: theme.spacing(1) }),
  line: css({ display: 'block' }),
  head: css({ color: theme.colors.text.secondary }),
  added: css({ background: theme.colors.success.transparent }),
  removed: css({ background: theme.colors.error.transparent }),
});
