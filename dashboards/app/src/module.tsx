import { AppPlugin, type AppRootProps } from '@grafana/data';
import { LoadingPlaceholder } from '@grafana/ui';
import { Component, lazy, type ReactNode, Suspense } from 'react';

import { Failed } from './parts/Failed';
import { words } from './words';

const Pages = lazy(() => import('./Pages'));

/** A page of a build that was replaced meanwhile is not there any more: a reload brings the new one. */
class Guard extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? (
      <Failed title={words().errors.pageLost} detail={words().errors.pageLostHow} />
    ) : (
      this.props.children
    );
  }
}

function Root(_: AppRootProps) {
  return (
    <Guard>
      <Suspense fallback={<LoadingPlaceholder text={words().loading} />}>
        <Pages />
      </Suspense>
    </Guard>
  );
}

export const plugin = new AppPlugin().setRootPage(Root);
