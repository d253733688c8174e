// The SDK with a hook that keeps invitation tokens, which the SDK itself drops from an answer.
import { Polar } from '@polar-sh/sdk';
import { HTTPClient } from '@polar-sh/sdk/lib/http.js';

// docs:begin
// Returns the SDK, and a map from the id of a seat to the token of its latest invitation.
export const connect = (serverURL, accessToken) => {
  const invitations = new Map();
  const httpClient = new HTTPClient();
  httpClient.addHook('response', async (response) => {
    if (!response.ok) return;
    const { id, invitation_token: token } = await response.clone().json();
    if (token) invitations.set(id, token);
  });
  return { polar: new Polar({ serverURL, accessToken, httpClient }), invitations };
};
// docs:end
