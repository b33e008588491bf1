import type { ReactNode } from 'react';

/** What may be wider than the screen: it is moved sideways by itself, and the page stays as wide as the screen. */
export function Sideways({ children }: { children: ReactNode }) {
  return (
    <div style={{ display: 'grid', gridTemplateColumns: 'minmax(0, 1fr)' }}>
      <div style={{ overflowX: 'auto' }}>{children}</div>
    </div>
  );
}
