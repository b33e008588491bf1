import { config } from '@grafana/runtime';

import { en } from './words/en';
import { pl } from './words/pl';

export type Words = typeof en;

/** Every sentence of the app, in the language that the person chose in Grafana. */
export function words(): Words {
  return (config.bootData?.user?.language ?? '').startsWith('pl') ? pl : en;
}
