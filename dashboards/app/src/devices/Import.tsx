import { PluginPage } from '@grafana/runtime';
import { Alert, Button, Combobox, Field, FileUpload, InteractiveTable, LinkButton, Stack, TextArea } from '@grafana/ui';
import { type FormEvent, useMemo, useState } from 'react';
import { useNavigate } from 'react-router';

import { type FieldError, Refused } from '../api';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { Sideways } from '../parts/Sideways';
import { ROOT } from '../paths';
import { words } from '../words';
import { FORMATS, importing, tried, type DryRun, type Format, type Intent } from './model';
import { Plan } from './Plan';

/** Most bytes of a list; Grafana and the service take no more at once. */
const LARGEST = 4 << 20;

/** Another system's list of devices: looked at, line by line, and taken whole or not at all. */
export function Import() {
  const { devices: d, imports: t, form: f, plan, cancel } = words();
  const navigate = useNavigate();
  const [format, setFormat] = useState<Format>('csv');
  const [list, setList] = useState('');
  const [planned, setPlanned] = useState<{ intent: Intent; dryRun: DryRun }>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  const read = async (event: FormEvent<HTMLInputElement>) => {
    const file = event.currentTarget.files?.[0];
    if (file && file.size <= LARGEST) {
      setList(await file.text());
      setError(undefined);
    } else if (file) {
      setError(new Refused(413, ''));
    }
  };

  const review = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const dryRun = await tried(importing(format, list));
      setPlanned({ intent: importing(format, list, dryRun.if_match), dryRun });
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };

  const wrong = error instanceof Refused && error.status === 422 ? error.fields : [];
  return (
    <PluginPage pageNav={{ text: t.title, subTitle: t.about }}>
      {!may('devices:write') ? (
        <Alert severity="info" title={d.readOnly} />
      ) : (
        <Stack direction="column" gap={2}>
          {error !== undefined && wrong.length === 0 && <Failed error={error} changing />}
          {wrong.length > 0 && <Wrong lines={wrong} />}
          <form onSubmit={review} noValidate aria-label={t.title}>
            <Stack direction="column" gap={2}>
              <Field label={t.format} description={t.formatHow[format]} htmlFor="format" noMargin>
                <Combobox
                  id="format"
                  width={40}
                  options={FORMATS.map((value) => ({ label: t.formats[value], value }))}
                  value={format}
                  onChange={(option) => setFormat(option.value)}
                />
              </Field>
              <div>
                <FileUpload accept=".csv,.json,.db,.yaml,.yml,.txt" showFileName onFileUpload={read}>
                  {t.file}
                </FileUpload>
              </div>
              <Field label={t.list} htmlFor="list" noMargin>
                <TextArea id="list" rows={12} value={list} spellCheck={false} onChange={(event) => setList(event.currentTarget.value)} />
              </Field>
              <Stack gap={1}>
                <Button type="submit" disabled={busy || list.trim() === ''}>
                  {f.review}
                </Button>
                <LinkButton variant="secondary" fill="outline" href={`${ROOT}/devices`}>
                  {cancel}
                </LinkButton>
              </Stack>
            </Stack>
          </form>
        </Stack>
      )}
      {planned && (
        <Plan
          name=""
          title={t.confirm}
          confirm={plan.save}
          hint={planned.dryRun.notes?.length ? t.notes(planned.dryRun.notes.map(({ line, detail }) => `${line}: ${detail}`)) : undefined}
          intent={planned.intent}
          dryRun={planned.dryRun}
          onDismiss={() => setPlanned(undefined)}
          onDone={() => navigate(`${ROOT}/devices`, { state: { done: t.done } })}
        />
      )}
    </PluginPage>
  );
}

/** What cannot be taken, by the line that it stands on. */
function Wrong({ lines }: { lines: FieldError[] }) {
  const { imports: t, plan } = words();
  const rows = useMemo(() => lines.map((line, at) => ({ ...line, id: String(at), line: line.line ?? '—' })), [lines]);
  const columns = useMemo(
    () => [
      { id: 'line', header: t.line },
      { id: 'field', header: plan.field },
      { id: 'detail', header: t.wrong },
    ],
    [t, plan]
  );
  return (
    <section aria-labelledby="wrong">
      <Alert severity="error" title={t.refused(lines.length)}>
        {t.refusedHow}
      </Alert>
      <h2 id="wrong">{t.wrongLines}</h2>
      <Sideways>
        <InteractiveTable columns={columns} data={rows} getRowId={(row) => row.id} pageSize={50} />
      </Sideways>
    </section>
  );
}
