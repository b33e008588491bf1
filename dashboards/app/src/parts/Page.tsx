import { PluginPage } from '@grafana/runtime';
import type { ReactNode } from 'react';

interface Props {
  title: string;
  about: string;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page that the navigation lists: Grafana has its crumb already, so that only the heading is given, in the language of the person. */
export function Page({ title, about, actions, children }: Props) {
  return (
    <PluginPage subTitle={about} actions={actions} renderTitle={() => <h1>{title}</h1>}>
      {children}
    </PluginPage>
  );
}
