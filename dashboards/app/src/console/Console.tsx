import { dateTimeFormat } from '@grafana/data';
import {
  Alert,
  Button,
  Checkbox,
  Field,
  FieldSet,
  FieldValidationMessage,
  Input,
  InteractiveTable,
  LoadingPlaceholder,
  RadioButtonList,
  Stack,
  TextLink,
  type Column,
} from '@grafana/ui';
import { type FormEvent, useMemo, useRef, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import { newKey } from '../api';
import { list } from '../devices/model';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { runPath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { Answers } from './Answers';
import { common, order, places, platforms, reachable, runs, type Run } from './model';

/** A command that only reads, on one device or many, and what they answered. */
export function Console() {
  const { console: t, loading } = words();
  const query = new URLSearchParams(useLocation().search);
  const navigate = useNavigate();
  const shown = query.get('run');
  const asked = query.get('device');
  const known = useLoaded('platforms', platforms);
  const all = useLoaded('devices', (signal) => list('', '', signal));
  const earlier = useLoaded(`runs ${shown}`, runs);
  const [chosen, choose] = useState<string[]>(asked ? [asked] : []);
  const [command, setCommand] = useState('');
  const [values, setValues] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const key = useRef(newKey());

  const devices = useMemo(
    () => reachable(all.value?.devices ?? [], known.value ?? []),
    [all.value, known.value]
  );
  const picked = devices.filter((device) => chosen.includes(device.name));
  const commands = common(picked.length > 0 ? picked : devices, known.value ?? []);
  const needed = places(command);

  // Another order is another intention.
  const changed = () => {
    key.current = newKey();
    setError(undefined);
  };

  const go = async (event: FormEvent) => {
    event.preventDefault();
    const missing: Record<string, string> = {};
    if (picked.length === 0) {
      missing.devices = t.chooseDevice;
    }
    if (!commands.some((one) => one.command === command)) {
      missing.command = t.chooseCommand;
    }
    for (const place of needed) {
      if (!values[place]?.trim()) {
        missing[place] = t.fill;
      }
    }
    setWrong(missing);
    setError(undefined);
    if (Object.keys(missing).length > 0) {
      return;
    }
    setBusy(true);
    try {
      const parameters = Object.fromEntries(needed.map((place) => [place, values[place]?.trim() ?? '']));
      const id = await order({ devices: picked.map((device) => device.name), command, parameters }, key.current);
      key.current = newKey();
      navigate(runPath(id));
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };

  const columns: Array<Column<Run>> = useMemo(
    () => [
      { id: 'created', header: words().time, cell: ({ row }) => dateTimeFormat(row.original.created) },
      { id: 'command', header: t.command, cell: ({ row }) => <code>{row.original.command}</code> },
      { id: 'devices', header: t.devices, cell: ({ row }) => row.original.devices.join(', ') },
      { id: 'requester', header: words().who, cell: ({ row }) => row.original.requester.display },
      {
        id: 'open',
        header: t.answers,
        cell: ({ row }) => <TextLink href={runPath(row.original.id)}>{t.open}</TextLink>,
      },
    ],
    [t]
  );

  const ready = known.value && all.value;
  const failed = known.error ?? all.error;
  return (
    <Page title={t.title} about={t.about}>
      <Stack direction="column" gap={3}>
        {failed !== undefined && (
          <Failed
            error={failed}
            again={() => {
              known.again();
              all.again();
            }}
          />
        )}
        {!ready && failed === undefined && <LoadingPlaceholder text={loading} />}
        {!may('commands:run') && <Alert severity="info" title={t.readOnly} />}
        {ready && may('commands:run') && devices.length === 0 && <Alert severity="info" title={t.nobody} />}
        {ready && may('commands:run') && devices.length > 0 && (
          <form onSubmit={go} noValidate aria-label={t.title}>
            <Stack direction="column" gap={2}>
              <FieldSet label={t.devices}>
                <p>{t.devicesHow}</p>
                <Stack gap={2} wrap="wrap">
                  {devices.map(({ name }) => (
                    <Checkbox
                      key={name}
                      label={name}
                      value={chosen.includes(name)}
                      onChange={(event) => {
                        changed();
                        const on = event.currentTarget.checked;
                        choose((before) => (on ? [...before, name] : before.filter((other) => other !== name)));
                      }}
                    />
                  ))}
                </Stack>
                {wrong.devices && <FieldValidationMessage>{wrong.devices}</FieldValidationMessage>}
              </FieldSet>
              <FieldSet label={t.command}>
                <p>{t.commandHow}</p>
                <RadioButtonList
                  name="command"
                  options={commands.map((one) => ({ label: one.command, value: one.command, description: one.about }))}
                  value={command}
                  onChange={(chosen) => {
                    changed();
                    setCommand(chosen);
                  }}
                />
                {wrong.command && <FieldValidationMessage>{wrong.command}</FieldValidationMessage>}
              </FieldSet>
              {needed.map((place) => (
                <Field key={place} label={place} htmlFor={place} invalid={place in wrong} error={wrong[place]} noMargin>
                  <Input
                    id={place}
                    width={40}
                    value={values[place] ?? ''}
                    aria-invalid={place in wrong}
                    autoComplete="off"
                    spellCheck={false}
                    onChange={(event) => {
                      changed();
                      const value = event.currentTarget.value;
                      setValues((before) => ({ ...before, [place]: value }));
                    }}
                  />
                </Field>
              ))}
              {error !== undefined && <Failed error={error} changing />}
              <div>
                <Button type="submit" disabled={busy}>
                  {t.run}
                </Button>
              </div>
            </Stack>
          </form>
        )}
        {shown && <Answers id={shown} />}
        <section aria-labelledby="earlier">
          <h2 id="earlier">{t.jobs}</h2>
          {earlier.error !== undefined && <Failed error={earlier.error} again={earlier.again} />}
          {earlier.value?.length === 0 && <p>{t.noJobs}</p>}
          {earlier.value && earlier.value.length > 0 && (
            <InteractiveTable columns={columns} data={earlier.value} getRowId={(row) => row.id} />
          )}
        </section>
      </Stack>
    </Page>
  );
}
