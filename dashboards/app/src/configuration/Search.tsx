import { Button, Field, Input, InteractiveTable, LoadingPlaceholder, Stack, TextLink, type Column } from '@grafana/ui';
import { type FormEvent, useMemo, useState } from 'react';

import { Failed } from '../parts/Failed';
import { configurationPath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { search, type Match } from './model';

/** Where a line stands in the newest configurations of all devices. */
export function Search() {
  const { configuration: t } = words();
  const [typed, type] = useState('');
  const [pattern, setPattern] = useState('');
  const go = (event: FormEvent) => {
    event.preventDefault();
    setPattern(typed.trim());
  };
  return (
    <section aria-label={t.search}>
      <form onSubmit={go} noValidate>
        <Stack gap={1} alignItems="flex-end" wrap="wrap">
          <Field label={t.search} description={t.searchHow} htmlFor="pattern" noMargin>
            <Input
              id="pattern"
              type="search"
              width={40}
              value={typed}
              spellCheck={false}
              onChange={(event) => type(event.currentTarget.value)}
            />
          </Field>
          <Button type="submit" variant="secondary" icon="search">
            {t.searchGo}
          </Button>
        </Stack>
      </form>
      {pattern && <Found key={pattern} pattern={pattern} />}
    </section>
  );
}

function Found({ pattern }: { pattern: string }) {
  const { configuration: t, loading } = words();
  const got = useLoaded(`search ${pattern}`, (signal) => search(pattern, signal));
  const columns: Array<Column<Match>> = useMemo(
    () => [
      {
        id: 'device',
        header: t.device,
        cell: ({ row }) => <TextLink href={configurationPath(row.original.device)}>{row.original.device}</TextLink>,
      },
      { id: 'line', header: t.line },
      {
        id: 'text',
        header: t.linesHeader,
        cell: ({ row }) => <code style={{ overflowWrap: 'anywhere', whiteSpace: 'normal' }}>{[...row.original.section, row.original.text].join(' › ')}</code>,
      },
    ],
    [t]
  );
  if (got.error !== undefined) {
    return <Failed error={got.error} again={got.again} />;
  }
  if (!got.value) {
    return <LoadingPlaceholder text={loading} />;
  }
  const { matches, more } = got.value;
  return (
    <>
      {matches.length === 0 && <p role="status">{t.searchNone}</p>}
      {more && <p>{t.searchMore}</p>}
      {matches.length > 0 && (
        <InteractiveTable columns={columns} data={matches} getRowId={(row) => `${row.device} ${row.line}`} pageSize={20} />
      )}
    </>
  );
}
