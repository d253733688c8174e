// The SDK from 1.0 on has no option for headers.
import { createPolarCore } from '@polar-sh/sdk/2026-10';
import { claimSeatCustomerSeats } from '@polar-sh/sdk/2026-10/services/customer_seats';

// docs:begin
// Claims a seat with an Idempotency-Key.
export const claimWithKey = (baseUrl, key, claim) => {
  const core = createPolarCore({ baseUrl });
  const buildRequest = core.buildRequest.bind(core);
  core.buildRequest = (...request) => {
    const [url, options] = buildRequest(...request);
    options.headers.set('Idempotency-Key', key);
    return [url, options];
  };
  return claimSeatCustomerSeats(core)(claim);
};
// docs:end
