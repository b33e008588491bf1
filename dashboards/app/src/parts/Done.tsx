import { Alert } from '@grafana/ui';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

/** Says what was just done: the page that did it hands the sentence over with the navigation. */
export function Done() {
  const location = useLocation();
  const navigate = useNavigate();
  const said = (location.state as { done?: string } | null)?.done;
  const [text, set] = useState(said);
  useEffect(() => {
    if (said) {
      set(said);
      // Once: a reload, or going back, must not say it again.
      navigate(location.pathname + location.search, { replace: true, state: null });
    }
  }, [said, location, navigate]);
  return text ? <Alert severity="success" title={text} onRemove={() => set(undefined)} /> : null;
}
