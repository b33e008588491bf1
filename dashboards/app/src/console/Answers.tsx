import { dateTimeFormat, type GrafanaTheme2 } from '@grafana/data';
import { Alert, ClipboardButton, LoadingPlaceholder, Stack, TextLink, useStyles2 } from '@grafana/ui';
import { css } from '@emotion/css';
import { useEffect, useRef } from 'react';

import { Failed } from '../parts/Failed';
import { Lines } from '../parts/Lines';
import { runPath, tracePath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { run, type Answer, type Compared, type Run } from './model';

/** How often it is looked whether all have answered, in milliseconds. */
const LOOK = 1000;

/** What the devices of one run answered, devices with the same answer together. */
export function Answers({ id }: { id: string }) {
  const { console: t, loading } = words();
  const job = useLoaded(`run ${id}`, (signal) => run(id, signal));
  const running = job.value?.state === 'running';
  const { again } = job;
  const here = useRef<HTMLElement>(null);
  // What was asked for is what is looked at next; it stands below the form.
  useEffect(() => here.current?.scrollIntoView?.({ block: 'start' }), [id]);
  useEffect(() => {
    if (!running) {
      return;
    }
    const timer = setInterval(again, LOOK);
    return () => clearInterval(timer);
  }, [running, again]);
  return (
    <section ref={here} aria-labelledby="answers">
      <h2 id="answers">{t.answers}</h2>
      {job.error !== undefined && <Failed error={job.error} again={job.again} />}
      {!job.value && job.loading && <LoadingPlaceholder text={loading} />}
      {job.value && (
        <>
          <p>
            <code>{job.value.command}</code> · {job.value.requester.display}
            {job.value.trace_id && (
              <>
                {' · '}
                <TextLink inline href={tracePath(job.value.trace_id)}>
                  {words().errors.trace(job.value.trace_id)}
                </TextLink>
              </>
            )}
          </p>
          <div role="status">
            {running && t.waiting(job.value.devices.length - job.value.answers.length)}
            {job.value.state === 'unknown' && t.lost}
          </div>
          <Stack direction="column" gap={2}>
            {grouped(job.value).map((group) => (
              <Group
                key={group.map((answer) => answer.device).join(' ')}
                answers={group}
                before={(job.value?.changes ?? []).filter(({ device }) => group.some((answer) => answer.device === device))}
              />
            ))}
          </Stack>
        </>
      )}
    </section>
  );
}

/** As the service grouped them. */
function grouped(job: Run): Answer[][] {
  const of = new Map(job.answers.map((answer) => [answer.device, answer]));
  const groups = job.groups ?? job.devices.map((device) => [device]);
  return groups
    .map((names) => names.flatMap((name) => of.get(name) ?? []))
    .filter((answers) => answers.length > 0);
}

function Group({ answers, before }: { answers: Answer[]; before: Compared[] }) {
  const { console: t } = words();
  const styles = useStyles2(look);
  const first = answers[0];
  if (!first) {
    return null;
  }
  const names = answers.map((answer) => answer.device).join(', ');
  const title = answers.length > 1 ? `${t.same(answers.length)}: ${names}` : names;
  if (!first.ok) {
    return (
      <Alert severity="warning" title={`${names}: ${t.failed}`}>
        {first.text}
      </Alert>
    );
  }
  return (
    <div>
      <Stack justifyContent="space-between" alignItems="center">
        <h3>{title}</h3>
        <ClipboardButton variant="secondary" size="sm" icon="copy" getText={() => first.text}>
          {t.copy}
        </ClipboardButton>
      </Stack>
      {/* Long lines are scrolled to, with the keyboard too. */}
      <pre className={styles.answer} tabIndex={0} aria-label={title}>
        {first.text}
      </pre>
      {first.truncated && <p>{t.truncated}</p>}
      <Before compared={before} />
    </div>
  );
}

/** How answers differ from those before: who answers as before is one line, the others are shown with what came and went. */
function Before({ compared }: { compared: Compared[] }) {
  const { console: t } = words();
  const when = (one: Compared) => <TextLink inline href={runPath(one.job)}>{dateTimeFormat(one.at)}</TextLink>;
  const same = compared.filter(({ added, removed }) => added.length + removed.length === 0);
  // Those that ran together are told together.
  const runs = new Map<string, Compared[]>();
  for (const one of same) {
    runs.set(one.job, [...(runs.get(one.job) ?? []), one]);
  }
  return (
    <>
      {[...runs.values()].map((group) => (
        <p key={group[0]!.job}>
          {t.asBefore(group.map(({ device }) => device).join(', '))} {when(group[0]!)}
        </p>
      ))}
      {compared
        .filter((one) => !same.includes(one))
        .map((one) => (
          <div key={one.device}>
            <p>
              {t.before(one.device)} {when(one)}
            </p>
            <Lines label={t.before(one.device)} lines={[...one.removed.map((line) => `-${line}`), ...one.added.map((line) => `+${line}`)]} />
          </div>
        ))}
    </>
  );
}

const look = (theme: GrafanaTheme2) => ({
  answer: css({
    maxHeight: '50vh',
    overflow: 'auto',
    padding: theme.spacing(1),
    fontFamily: theme.typography.fontFamilyMonospace,
  }),
});
