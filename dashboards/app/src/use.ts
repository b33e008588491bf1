import { useCallback, useEffect, useRef, useState } from 'react';

/** Something that is fetched: being looked for, there, or refused. */
export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  again: () => void;
}

/** Fetches when `key` changes; an answer that comes too late is dropped. What was there stays until the new one comes. */
export function useLoaded<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, set] = useState<{ value?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [turn, next] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const ends = new AbortController();
    set((before) => ({ ...before, loading: true }));
    latest
      .current(ends.signal)
      .then((value) => !ends.signal.aborted && set({ value, loading: false }))
      .catch((error) => !ends.signal.aborted && set({ error, loading: false }));
    return () => ends.abort();
  }, [key, turn]);
  const again = useCallback(() => next((turn) => turn + 1), []);
  return { value: state.value, error: state.error, loading: state.loading, again };
}

/** A value once it has rested for a moment. */
export function useRested<T>(value: T, milliseconds = 250): T {
  const [rested, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return rested;
}
