import { cleanup, configure } from '@testing-library/react';
import { afterEach, vi } from 'vitest';

// What jsdom lacks and @grafana/ui asks for.
class Observer {
  observe() {}
  unobserve() {}
  disconnect() {}
  takeRecords() {
    return [];
  }
}
vi.stubGlobal('ResizeObserver', Observer);
vi.stubGlobal('IntersectionObserver', Observer);
window.matchMedia = (query) =>
  ({ matches: false, media: query, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} }) as never;
HTMLCanvasElement.prototype.getContext = (() => ({ measureText: (text: string) => ({ width: 8 * text.length }) })) as never;
Element.prototype.scrollIntoView = () => {};

// A machine that does other things too is slow now and then.
configure({ asyncUtilTimeout: 10_000 });

afterEach(cleanup);
