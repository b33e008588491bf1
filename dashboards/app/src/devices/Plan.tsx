import { dateTimeFormat } from '@grafana/data';
import { Button, InteractiveTable, Modal, Field, Input, Alert } from '@grafana/ui';
import { useMemo, useRef, useState } from 'react';

import { newKey } from '../api';
import { Failed } from '../parts/Failed';
import { words } from '../words';
import { done, type Change, type DryRun, type Intent } from './model';

/** A value in words: planned work as its times, everything else as it is written. */
function shown(value: unknown): string {
  if (value === undefined || value === null) {
    return '—';
  }
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one?.start === 'string' && typeof one?.end === 'string')) {
    return value.map((one) => `${dateTimeFormat(one.start)} – ${dateTimeFormat(one.end)}${one.reason ? `: ${one.reason}` : ''}`).join('; ');
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The values that a change touches, before and after, one a row. */
export function Changes({ changes, name }: { changes: Change[]; name: string }) {
  const { plan } = words();
  const rows = useMemo(() => {
    const own = `devices/${name}/`;
    const short = (path: string) => (path.startsWith(own) ? path.slice(own.length).replaceAll('/', '.') : path);
    return changes.flatMap(leaves).map((row) => ({ ...row, path: short(row.path) }));
  }, [changes, name]);
  const columns = useMemo(
    () => [
      { id: 'path', header: plan.field },
      { id: 'before', header: plan.before },
      { id: 'after', header: plan.after },
    ],
    [plan]
  );
  return rows.length === 0 ? (
    <p>{plan.nothing}</p>
  ) : (
    <InteractiveTable columns={columns} data={rows} getRowId={(row) => row.path} />
  );
}

/** A whole entry is shown value by value. */
function leaves(change: Change): Array<{ path: string; before: string; after: string }> {
  const object = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!object(change.before) && !object(change.after)) {
    return [{ path: change.path, before: shown(change.before), after: shown(change.after) }];
  }
  const before = object(change.before) ? change.before : {};
  const after = object(change.after) ? change.after : {};
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) =>
    leaves({ op: change.op, path: `${change.path}/${key}`, before: before[key], after: after[key] })
  );
}

interface Props {
  /** Of the device. */
  name: string;
  title: string;
  confirm: string;
  /** A name that must be typed first. */
  typed?: string;
  hint?: string;
  destructive?: boolean;
  intent: Intent;
  dryRun: DryRun;
  onDone: () => void;
  onDismiss: () => void;
  /** Of a change that somebody else overtook. */
  onReload?: () => void;
}

/** Shows what would change, and does it when it is confirmed: once, however often the button is pressed. */
export function Plan(props: Props) {
  const { plan, cancel } = words();
  const key = useRef(newKey());
  const [typed, type] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const empty = props.dryRun.changes.length === 0;
  const ready = !busy && !empty && (props.typed === undefined || typed === props.typed);
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await done(props.intent, key.current);
      props.onDone();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Modal title={props.title} isOpen onDismiss={props.onDismiss}>
      {error !== undefined && <Failed error={error} changing again={props.onReload} />}
      {props.hint && <p>{props.hint}</p>}
      <h3>{plan.what}</h3>
      <Changes changes={props.dryRun.changes} name={props.name} />
      {props.dryRun.rewritten && <Alert severity="warning" title={plan.rewritten} />}
      {props.typed !== undefined && (
        <Field label={plan.typeName(props.typed)} htmlFor="typed" noMargin>
          <Input id="typed" value={typed} onChange={(event) => type(event.currentTarget.value)} autoComplete="off" />
        </Field>
      )}
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={props.onDismiss}>
          {cancel}
        </Button>
        <Button variant={props.destructive ? 'destructive' : 'primary'} disabled={!ready} onClick={go}>
          {props.confirm}
        </Button>
      </Modal.ButtonRow>
    </Modal>
  );
}
