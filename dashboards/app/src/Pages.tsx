import { Navigate, Route, Routes } from 'react-router';

import { Approvals } from './approvals/Approvals';
import { Audit } from './audit/Audit';
import { Configuration } from './configuration/Configuration';
import { Console } from './console/Console';
import { DevicePage } from './devices/DevicePage';
import { Devices } from './devices/Devices';
import { Import } from './devices/Import';
import { NewDevice } from './devices/NewDevice';
import { Maintenance } from './maintenance/Maintenance';
import { NotFound } from './parts/NotFound';
import { ROOT } from './paths';
import { Reports } from './reports/Reports';
import { Settings } from './settings/Settings';

export default function Pages() {
  return (
    <Routes>
      <Route path="" element={<Navigate replace to={`${ROOT}/devices`} />} />
      <Route path="devices" element={<Devices />} />
      <Route path="devices/new" element={<NewDevice />} />
      <Route path="devices/import" element={<Import />} />
      <Route path="devices/:name" element={<DevicePage />} />
      <Route path="maintenance" element={<Maintenance />} />
      <Route path="console" element={<Console />} />
      <Route path="approvals" element={<Approvals />} />
      <Route path="configuration" element={<Configuration />} />
      <Route path="reports" element={<Reports />} />
      <Route path="audit" element={<Audit />} />
      <Route path="settings" element={<Settings />} />
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}
