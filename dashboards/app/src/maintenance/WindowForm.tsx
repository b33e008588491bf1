import { Button, Combobox, Field, FieldSet, Input, RadioButtonGroup, Stack } from '@grafana/ui';
import { type FormEvent, useState } from 'react';

import { Failed } from '../parts/Failed';
import { words } from '../words';
import { MOST_WEEKS, weekly, type Target, type Window } from './model';

interface Props {
  /** Chosen when the page opens. */
  device: string;
  devices: string[];
  /** None where groups may not be changed. */
  groups: string[];
  onReview: (target: Target, windows: Window[]) => Promise<void>;
}

/** Of what, from when, how long, how often and why. */
export function WindowForm({ device, devices, groups, onReview }: Props) {
  const { maintenance: t, form: f } = words();
  const [kind, setKind] = useState<Target['kind']>('devices');
  const [name, setName] = useState(device);
  const [begin, setBegin] = useState<'now' | 'later'>('now');
  const [start, setStart] = useState('');
  const [minutes, setMinutes] = useState('60');
  const [weeks, setWeeks] = useState('1');
  const [reason, setReason] = useState('');
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);

  const whole = (text: string, most: number) => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= most;
  const wrong = {
    name: name === '',
    start: begin === 'later' && Number.isNaN(Date.parse(start)),
    minutes: !whole(minutes, 30 * 24 * 60),
    weeks: !whole(weeks, MOST_WEEKS),
    reason: reason.trim() === '',
  };
  const invalid = (key: keyof typeof wrong) => tried && wrong[key];
  const why = (key: keyof typeof wrong, text: string) => (invalid(key) ? text : undefined);

  const review = async (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    setError(undefined);
    const first = (Object.keys(wrong) as Array<keyof typeof wrong>).find((key) => wrong[key]);
    if (first) {
      document.getElementById(first)?.focus();
      return;
    }
    setBusy(true);
    try {
      const from = begin === 'now' ? Date.now() : Date.parse(start);
      await onReview({ kind, name }, weekly(from, Number(minutes), Number(weeks), reason.trim()));
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };

  return (
    <form onSubmit={review} noValidate aria-label={t.planIt}>
      {error !== undefined && <Failed error={error} changing />}
      <FieldSet label={t.planIt}>
        <Stack direction="column" gap={2}>
          {groups.length > 0 && (
            <Field label={t.ofWhat} noMargin>
              <RadioButtonGroup
                id="kind"
                aria-label={t.ofWhat}
                options={[
                  { label: t.oneDevice, value: 'devices' as const },
                  { label: t.oneGroup, value: 'groups' as const },
                ]}
                value={kind}
                onChange={(value) => {
                  setKind(value);
                  setName('');
                }}
              />
            </Field>
          )}
          <Field label={kind === 'groups' ? t.oneGroup : t.oneDevice} htmlFor="name" required invalid={invalid('name')} error={why('name', f.required)} noMargin>
            <Combobox
              id="name"
              width={40}
              placeholder={t.choose}
              options={(kind === 'groups' ? groups : devices).map((name) => ({ label: name, value: name }))}
              value={name || null}
              onChange={(option) => setName(option?.value ?? '')}
            />
          </Field>
          <Field label={t.reason} description={t.reasonHow} htmlFor="reason" required invalid={invalid('reason')} error={why('reason', f.required)} noMargin>
            <Input id="reason" width={40} value={reason} aria-required aria-invalid={invalid('reason')} autoComplete="off" onChange={(event) => setReason(event.currentTarget.value)} />
          </Field>
          <Field label={t.begins} noMargin>
            <RadioButtonGroup
              id="begin"
              aria-label={t.begins}
              options={[
                { label: t.now, value: 'now' as const },
                { label: t.later, value: 'later' as const },
              ]}
              value={begin}
              onChange={setBegin}
            />
          </Field>
          {begin === 'later' && (
            <Field label={t.start} description={t.startHow(Intl.DateTimeFormat().resolvedOptions().timeZone)} htmlFor="start" required invalid={invalid('start')} error={why('start', f.required)} noMargin>
              <Input id="start" type="datetime-local" width={40} value={start} aria-invalid={invalid('start')} onChange={(event) => setStart(event.currentTarget.value)} />
            </Field>
          )}
          <Field label={t.minutes} description={t.minutesHow} htmlFor="minutes" required invalid={invalid('minutes')} error={why('minutes', t.minutesHow)} noMargin>
            <Input id="minutes" inputMode="numeric" width={20} value={minutes} aria-invalid={invalid('minutes')} onChange={(event) => setMinutes(event.currentTarget.value.trim())} />
          </Field>
          <Field label={t.weeks} description={t.weeksHow(MOST_WEEKS)} htmlFor="weeks" required invalid={invalid('weeks')} error={why('weeks', t.weeksHow(MOST_WEEKS))} noMargin>
            <Input id="weeks" inputMode="numeric" width={20} value={weeks} aria-invalid={invalid('weeks')} onChange={(event) => setWeeks(event.currentTarget.value.trim())} />
          </Field>
          <div>
            <Button type="submit" disabled={busy}>
              {f.review}
            </Button>
          </div>
        </Stack>
      </FieldSet>
    </form>
  );
}
