import { Alert, Button, Combobox, Field, FieldSet, Input, RadioButtonGroup, Stack } from '@grafana/ui';
import { type FormEvent, useState } from 'react';

import { Refused } from '../api';
import { Failed } from '../parts/Failed';
import { useLoaded } from '../use';
import { words } from '../words';
import { groups as allGroups, sites as allSites } from './model';
import { fieldOf, JOBS, type Job, type Switch, type Values } from './values';

interface Props {
  start: Values;
  isNew: boolean;
  /** It has `addresses`, so that the main address may be left out. */
  addressed: boolean;
  readOnly: boolean;
  submit: string;
  /** Tries the change; refusals of single fields are shown beside them. */
  onReview: (form: Values) => Promise<void>;
  extra?: React.ReactNode;
}

type Texts = 'name' | 'address' | 'role' | 'platform' | 'groups' | 'tags' | 'module' | 'auth' | 'credentials';

/** The values of a device that people change often. */
export function DeviceForm({ start, isNew, addressed, readOnly, submit, onReview, extra }: Props) {
  const { form: t } = words();
  const [form, set] = useState(start);
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const sites = useLoaded('sites', allSites);
  const groups = useLoaded('groups', allGroups);

  const change = (part: Partial<Values>) => set((form) => ({ ...form, ...part }));

  const review = async (event: FormEvent) => {
    event.preventDefault();
    const missing: Record<string, string> = {};
    if (!form.name.trim()) {
      missing.name = t.required;
    }
    if (!form.address.trim() && !addressed) {
      missing.address = t.required;
    }
    setWrong(missing);
    setError(undefined);
    const first = Object.keys(missing)[0];
    if (first) {
      document.getElementById(first)?.focus();
      return;
    }
    setBusy(true);
    try {
      await onReview(form);
    } catch (refused) {
      setError(refused);
      if (refused instanceof Refused) {
        const fields = refused.fields.map(({ field, detail }) => [fieldOf(field), detail] as const);
        const own = fields.filter((pair): pair is readonly [string, string] => pair[0] !== null);
        setWrong(Object.fromEntries(own));
        document.getElementById(own[0]?.[0] ?? '')?.focus();
      }
    } finally {
      setBusy(false);
    }
  };

  const input = (key: Texts, label: string, how: string, more: { required?: boolean; disabled?: boolean } = {}) => (
    <Field
      label={label}
      description={how}
      htmlFor={key}
      required={more.required}
      invalid={key in wrong}
      error={wrong[key]}
      noMargin
    >
      <Input
        id={key}
        value={form[key]}
        width={40}
        disabled={more.disabled}
        readOnly={readOnly}
        aria-invalid={key in wrong}
        aria-required={more.required}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => change({ [key]: event.currentTarget.value })}
      />
    </Field>
  );

  const choices: Array<{ label: string; value: Switch }> = [
    { label: t.inherit, value: 'inherit' },
    { label: t.on, value: 'on' },
    { label: t.off, value: 'off' },
  ];
  const job = (job: Job, label: string, how: string) => (
    <Field label={label} description={how} noMargin>
      <RadioButtonGroup
        id={job}
        aria-label={label}
        options={choices}
        value={form.jobs[job]}
        disabled={readOnly}
        onChange={(value) => change({ jobs: { ...form.jobs, [job]: value } })}
      />
    </Field>
  );
  const told: Record<Job, [string, string]> = {
    ping: [t.ping, t.pingHow],
    snmp: [t.snmp, t.snmpHow],
    ssh: [t.ssh, t.sshHow],
    syslog: [t.syslog, t.syslogHow],
    flow: [t.flow, t.flowHow],
  };
  const options = (names: string[]) => names.map((name) => ({ label: name, value: name }));

  return (
    <form onSubmit={review} noValidate aria-label={isNew ? words().devices.newTitle : form.name}>
      {error !== undefined &&
        (error instanceof Refused && error.status === 422 && Object.keys(wrong).length > 0 ? (
          <Alert severity="error" title={t.wrong}>
            {t.wrongHow}
          </Alert>
        ) : (
          <Failed error={error} changing />
        ))}
      <FieldSet label={t.identity}>
        <Stack direction="column" gap={2}>
          {isNew && input('name', t.name, t.nameHow, { required: true })}
          {input('address', t.address, t.addressHow, { required: !addressed })}
          <Field label={t.site} description={t.siteHow} htmlFor="site" invalid={'site' in wrong} error={wrong.site} noMargin>
            <Combobox
              id="site"
              width={40}
              options={options(sites.value ?? [])}
              value={form.site || null}
              isClearable
              disabled={readOnly}
              onChange={(option) => change({ site: option?.value ?? '' })}
            />
          </Field>
          {input('role', t.role, t.roleHow)}
          {input('platform', t.platform, t.platformHow)}
          {input('groups', t.groups, t.groupsHow(groups.value ?? []))}
          {input('tags', t.tags, t.tagsHow)}
        </Stack>
      </FieldSet>
      <FieldSet label={t.watching}>
        <Stack direction="column" gap={2}>
          {JOBS.map((name) => (
            <Stack key={name} direction="column" gap={2}>
              {job(name, ...told[name])}
              {name === 'snmp' && form.jobs.snmp !== 'inherit' && (
                <>
                  {input('module', t.module, t.moduleHow)}
                  {input('auth', t.auth, t.authHow)}
                </>
              )}
              {name === 'ssh' && form.jobs.ssh !== 'inherit' && input('credentials', t.credentials, t.credentialsHow)}
            </Stack>
          ))}
        </Stack>
      </FieldSet>
      {!isNew && <p>{t.kept}</p>}
      {!readOnly && (
        <Stack gap={1}>
          <Button type="submit" disabled={busy}>
            {submit}
          </Button>
          {extra}
        </Stack>
      )}
    </form>
  );
}
